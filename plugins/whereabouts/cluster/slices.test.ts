import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../lib/cni/json.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { formatCidr } from '../../../lib/net/cidr.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import { openDatabase } from '../../../lib/sys/database.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { type Datastore, datastoreOn, opened } from '../datastore.ts';
import { poolKey, poolName, sliceNodeOf, slicePoolName } from '../names.ts';
import type { ClusterPlace } from '../place.ts';
import { FakeKube } from '../testing/fake-kube.ts';
import { owner, rangesOf, reserved } from '../testing/fixtures.ts';
import { Hearers } from './hearers.ts';
import { type IpPool, type NodeSlicePool, poolObject } from './objects.ts';
import { NOTHING_RECENT } from './recent.ts';
import { sliceOf } from './slices.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { ClusterStore } from './store.ts';

const RANGE = '172.21.40.0/22';

/** Slices by node; '' has those that are free. */
const slicePool = (name: string, range: string, slices: readonly (readonly [string, string])[]): NodeSlicePool => ({
  apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
  kind: 'NodeSlicePool',
  metadata: { name, namespace: 'kube-system' },
  spec: { range, sliceSize: '/26' },
  status: { allocations: slices.map(([nodeName, sliceRange]) => ({ nodeName, sliceRange })) },
});

const CUT = slicePool('storage', RANGE, [
  ['w-1', '172.21.40.0/26'],
  ['w-2', '172.21.40.64/26'],
  ['', '172.21.40.128/26'],
]);

describe('names', () => {
  it.each([
    ['blue', '10.40.3.0/26', 'w-7', 'blue-w-7-10.40.3.0-26', '10.40.3.0/26@w-7'],
    ['', '10.40.3.0/26', 'w-7.lab', 'w-7.lab-10.40.3.0-26', '10.40.3.0/26@w-7.lab'],
    ['blue', 'fd00:0:0:10::/80', 'w-7', 'blue-w-7-fd00-0-0-10---80', 'fd00:0:0:10::/80@w-7'],
  ])('of network "%s", slice %s and node %s: the pool is %s', (network, slice, node, name, key) => {
    const [{ cidr } = { cidr: undefined as never }] = rangesOf(slice);
    expect(poolName(network, cidr, node)).toBe(name);
    expect(poolKey({ cidr, node })).toBe(key);
    expect(sliceNodeOf(name, network, cidr)).toBe(node);
    expect(sliceNodeOf(poolName(network, cidr), network, cidr)).toBeUndefined();
  });

  it('of NodeSlicePools are the Go plugin’s for the first range, and have the range in them for others', () => {
    const ranges = rangesOf(RANGE, 'fd00::/64', RANGE).map(({ cidr }) => cidr);
    const [first] = ranges as [(typeof ranges)[number]];
    expect(ranges.map((cidr) => slicePoolName('storage', cidr, first))).toEqual([
      'storage',
      'storage-fd00---64',
      'storage',
    ]);
  });
});

describe('sliceOf', () => {
  const [range] = rangesOf(RANGE) as [ReturnType<typeof rangesOf>[number]];
  const find = (object: NodeSlicePool | undefined, node = 'w-2', of: JsonObject = {}) => {
    const [wanted = range] = rangesOf({ range: RANGE, ...of });
    return sliceOf(wanted, node, 'storage', object);
  };

  it('is the part of the range that the node has, but for its first and last address', () => {
    const { cidr, node, window } = find(CUT);
    expect([formatCidr(cidr), node]).toEqual(['172.21.40.64/26', 'w-2']);
    expect([window.first, window.last].map((value) => formatIp({ family: 4, value }))).toEqual([
      '172.21.40.65',
      '172.21.40.126',
    ]);
  });

  it('keeps exclusions and bounds', () => {
    const bounds = { range_start: '172.21.40.70', range_end: '172.21.43.9', exclude: ['172.21.40.72/29'] };
    const { window, excludedTexts } = find(CUT, 'w-2', bounds);
    expect([window.first, window.last].map((value) => formatIp({ family: 4, value }))).toEqual([
      '172.21.40.70',
      '172.21.40.126',
    ]);
    expect(excludedTexts).toEqual(['172.21.40.72/29']);
  });

  it.each([
    ['there is no object', undefined, 'there is no NodeSlicePool "storage" yet', 11],
    ['it has no status yet', slicePool('storage', RANGE, []), 'no allocated node slice for node "w-2", and none', 11],
    [
      'the node has none',
      slicePool('storage', RANGE, [['', '172.21.40.0/26']]),
      'no allocated node slice for node',
      11,
    ],
    [
      'all slices are taken',
      slicePool('storage', RANGE, [['w-1', '172.21.40.0/26']]),
      'no allocated node slice for node "w-2", and none of its 1 is free',
      11,
    ],
    ['it is of another range', slicePool('storage', '10.0.0.0/8', []), 'is of range "10.0.0.0/8"', 11],
    ['it is of none', slicePool('storage', 'x', []), 'is of range "x"', 11],
    ['the slice is elsewhere', slicePool('storage', RANGE, [['w-2', '10.0.0.0/26']]), 'is no part of the range', 999],
    ['the slice is larger', slicePool('storage', RANGE, [['w-2', '172.21.0.0/16']]), 'is no part of the range', 999],
    [
      'the slice is none',
      slicePool('storage', RANGE, [['w-2', 'x']]),
      'says "x", which is not the canonical text',
      999,
    ],
    [
      'it has host bits',
      slicePool('storage', RANGE, [['w-2', '172.21.40.9/26']]),
      'is not the canonical text of a network',
      999,
    ],
    ['it is too small', slicePool('storage', RANGE, [['w-2', '172.21.40.8/31']]), 'net mask is too short', 999],
    [
      'two nodes have it',
      slicePool('storage', RANGE, [
        ['w-1', '172.21.40.0/26'],
        ['w-2', '172.21.40.0/26'],
      ]),
      'gives 172.21.40.0/26 to node "w-1" too',
      999,
    ],
  ])('fails when %s', (_, object, why, code) => {
    expect(() => find(object)).toThrow(why);
    expect(() => find(object)).toThrow(expect.objectContaining({ code }));
    expect(() => find(object)).toThrow(/node "w-2"/);
  });

  it('fails when all of it is out of bounds', () => {
    expect(() => find(CUT, 'w-2', { range_end: '172.21.40.9' })).toThrow(
      '172.21.40.64/26 has nothing of what may be given, 172.21.40.1 to 172.21.40.9',
    );
  });
});

/** Nodes of one cluster, each with its journal. */
function cluster() {
  const kube = new FakeKube();
  kube.put('nodeslicepools', CUT);
  const folders: Disposable[] = [];
  function node(name: string, networkName = 'storage'): Datastore & { readonly lines: readonly string[] } {
    const folder = temporaryFolder();
    folders.push(folder);
    const lines: string[] = [];
    const scope = fakeScope({ log: (line) => lines.push(line), sleep: async () => undefined });
    const place: ClusterPlace = {
      kind: 'kubernetes',
      kubeconfig: '/k',
      dataDir: join(folder.path, 'data'),
      networkName,
      concurrency: 'cas',
      slices: { pool: 'storage', nodeName: { env: name, folder: '' } },
    };
    const store = new ClusterStore(place, {
      access: { open: async () => kube, [Symbol.dispose]: () => undefined },
      journal: new SqliteJournal(place, openDatabase, scope),
      recents: NOTHING_RECENT,
      turns: { serve: (steps, work) => work(steps) },
      hearers: new Hearers(),
    });
    folders.push(store);
    return Object.assign(datastoreOn(opened(store), place, scope), { lines });
  }
  const pools = () =>
    Object.fromEntries(
      kube
        .all<IpPool>('ippools')
        .map(({ metadata, spec }) => [metadata.name, { range: spec.range, keys: Object.keys(spec.allocations ?? {}) }]),
    );
  const dispose = (): void => {
    for (const one of folders.reverse()) {
      one[Symbol.dispose]();
    }
  };
  return { kube, node, pools, [Symbol.dispose]: dispose };
}

const clusters: Disposable[] = [];
afterEach(() => {
  for (const one of clusters.splice(0)) {
    one[Symbol.dispose]();
  }
});
const fresh = () => {
  const one = cluster();
  clusters.push(one);
  return one;
};

const attachment = (who: string) => ({ id: owner(who).id, ifname: owner(who).ifname });

describe('a node with slices', () => {
  it('gives addresses of its own slice, in a pool that is named after the node and counts from the slice', async () => {
    const one = fresh();
    const ranges = rangesOf({ range: RANGE, exclude: ['172.21.40.64/29'] });
    expect(await reserved(one.node('w-1'), 'a/b net1 id1', ranges)).toEqual(['172.21.40.1']);
    expect(await reserved(one.node('w-2'), 'a/c net1 id2', ranges)).toEqual(['172.21.40.72']);
    expect(one.pools()).toEqual({
      'storage-w-1-172.21.40.0-26': { range: '172.21.40.0/26', keys: ['1'] },
      'storage-w-2-172.21.40.64-26': { range: '172.21.40.64/26', keys: ['8'] },
    });
    expect(one.kube.all('overlappingrangeipreservations').map(({ metadata }) => metadata.name)).toEqual([
      'storage-172.21.40.1',
      'storage-172.21.40.72',
    ]);
  });

  it('reads once who has which slice when networks of a pod ask together', async () => {
    const { kube, node } = fresh();
    const store = node('w-1');
    await reserved(store, 'x/y net1 idX', rangesOf(RANGE));
    kube.counted();
    const all = Array.from({ length: 16 }, (_, index) => reserved(store, `a/b net${index} id`, rangesOf(RANGE)));
    expect((await Promise.all(all)).flat()).toHaveLength(16);
    expect(kube.counted()).toBe('GET 2, PATCH 1, POST 16');
  });

  it('has one of each range, and the same address again for the same attachment', async () => {
    const one = fresh();
    one.kube.put('nodeslicepools', slicePool('storage-fd00---64', 'fd00::/64', [['w-1', 'fd00::1:0:0:0/80']]));
    const [store, ranges] = [one.node('w-1'), rangesOf(RANGE, 'fd00::/64')];
    expect(await reserved(store, 'a/b net1 id', ranges)).toEqual(['172.21.40.1', 'fd00::1:0:0:1']);
    expect(await reserved(store, 'a/b net1 id', ranges)).toEqual(['172.21.40.1', 'fd00::1:0:0:1']);
    expect(Object.keys(one.pools())).toEqual(['storage-w-1-172.21.40.0-26', 'storage-w-1-fd00--1-0-0-0-80']);
  });

  it('is told when it has none, and tries again later', async () => {
    const one = fresh();
    await expect(reserved(one.node('w-9'), 'a/b net1 id', rangesOf(RANGE))).rejects.toMatchObject({
      code: 11,
      message:
        'cannot find the slice of 172.21.40.0/22 that node "w-9" has: NodeSlicePool "storage": no allocated node slice for node "w-9"',
    });
    expect(one.pools()).toEqual({});
  });

  it('does not give what another range of the network holds', async () => {
    const one = fresh();
    const plain = one.node('w-1');
    await reserved(plain, 'a/b net1 id', rangesOf(RANGE));
    one.kube.put('nodeslicepools', slicePool('storage', '172.21.40.0/24', [['w-2', '172.21.40.0/26']]));
    expect(await reserved(one.node('w-2'), 'a/c net1 id2', rangesOf('172.21.40.0/24'))).toEqual(['172.21.40.2']);
  });
});

describe('what a node gave', () => {
  const RANGES = rangesOf(RANGE);
  const NOTHING = undefined;
  const MOVED = slicePool('storage', RANGE, [['w-1', '172.21.40.192/26']]);
  const TAKEN = slicePool('storage', RANGE, [['w-2', '172.21.40.0/26']]);

  async function given() {
    const one = fresh();
    const store = one.node('w-1');
    await reserved(store, 'a/b net1 id', RANGES);
    await reserved(store, 'a/c net1 id2', RANGES);
    return { ...one, store };
  }

  it.each([
    ['the slice is as it was', true, CUT],
    ['there is no slice any more', true, NOTHING],
    ['it has another slice by now', true, MOVED],
    ['another node has its slice by now', true, TAKEN],
    ['it has lost its journal', false, CUT],
    ['it has lost its journal, and there is no slice any more', false, NOTHING],
    ['it has lost its journal, and has no slice any more', false, TAKEN],
  ])('is found and freed when %s', async (_, remembers, object) => {
    const { kube, node, pools, store: first } = await given();
    kube.drop('nodeslicepools', 'storage');
    if (object !== undefined) {
      kube.put('nodeslicepools', object);
    }
    const store = remembers ? first : node('w-1');
    const found = await store.find(attachment('a/b net1 id'), RANGES);
    expect(found.map((ip) => ip && formatIp(ip))).toEqual(['172.21.40.1']);
    const freed = await store.release(attachment('a/b net1 id'), RANGES);
    expect(freed.map(({ ip, range }) => `${formatIp(ip)} ${range}`)).toEqual(['172.21.40.1 172.21.40.0/26@w-1']);
    expect(pools()).toEqual({ 'storage-w-1-172.21.40.0-26': { range: '172.21.40.0/26', keys: ['2'] } });
    expect(kube.all('overlappingrangeipreservations')).toHaveLength(1);
    kube.counted();
    expect(await store.release(attachment('x/y net1 never'), RANGES)).toEqual([]);
    expect(kube.counted()).toBe(object === CUT || object === MOVED ? 'GET 2' : 'GET 1, LIST 1');
  });

  it('is freed later when the API server is away, though nobody remembers it', async () => {
    const { kube, node, pools } = await given();
    const store = node('w-1');
    kube.use({ mishap: () => 'refused' });
    expect(await store.release(attachment('a/b net1 id'), RANGES)).toEqual([]);
    kube.use({});
    await new Promise((resolve) => setTimeout(resolve, 1100)); // not earlier
    await store.probe(RANGES);
    expect(pools()).toMatchObject({ 'storage-w-1-172.21.40.0-26': { keys: ['2'] } });
  });

  it('is collected without asking for slices', async () => {
    const { kube, pools, store } = await given();
    kube.drop('nodeslicepools', 'storage');
    kube.counted();
    const freed = await store.collect('net-a', RANGES, [attachment('a/c net1 id2')]);
    expect(freed.map(({ ip }) => formatIp(ip))).toEqual(['172.21.40.1']);
    expect(kube.counted()).toBe('DELETE 1, GET 1, PATCH 1');
    expect(pools()).toMatchObject({ 'storage-w-1-172.21.40.0-26': { keys: ['2'] } });
  });

  it('is found by its interface only, in a pool that may be one of another network', async () => {
    const { kube, node, pools } = await given();
    kube.drop('nodeslicepools', 'storage');
    const allocations = { '1': { id: 'id9', podref: 'a/z' }, '2': { id: 'id9', podref: 'a/z', ifname: 'net2' } };
    kube.put('ippools', poolObject('', 'storage-x-10.0.0.0-24', { range: '10.0.0.0/24', allocations }));
    expect(await node('w-1').release(attachment('a/z net1 id9'), RANGES)).toEqual([]);
    expect(pools()).toMatchObject({ 'storage-x-10.0.0.0-24': { keys: ['1', '2'] } });
    expect(await node('w-1').release(attachment('a/z net2 id9'), RANGES)).toHaveLength(1);
    expect(pools()).toMatchObject({ 'storage-x-10.0.0.0-24': { keys: ['1'] } });
  });

  it('is none of another node’s business', async () => {
    const { kube, node, pools } = await given();
    kube.drop('nodeslicepools', 'storage');
    const other = node('w-2');
    expect(await other.release(attachment('x/y net1 never'), RANGES)).toEqual([]);
    expect(await other.collect('net-a', RANGES, [])).toEqual([]);
    expect(pools()).toMatchObject({ 'storage-w-1-172.21.40.0-26': { keys: ['1', '2'] } });
  });
});

describe('STATUS', () => {
  it('is fine when the node has a slice, and tells when it has none', async () => {
    const { kube, node } = fresh();
    await node('w-1').probe(rangesOf(RANGE));
    await expect(node('w-3').probe(rangesOf(RANGE))).rejects.toThrow('no allocated node slice for node "w-3"');
    kube.drop('nodeslicepools', 'storage');
    await expect(node('w-1').probe(rangesOf(RANGE))).rejects.toThrow('there is no NodeSlicePool "storage" yet');
  });
});
