import { afterEach, describe, expect, it } from 'vitest';
import { recordingEvents } from '../../../lib/controller/testing/recording.ts';
import type { KubeObject } from '../../../lib/kube/api.ts';
import { makeMetrics } from '../../../lib/observe/metrics.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { type IpPool, type IpReservation, poolObject } from '../cluster/objects.ts';
import { NETWORK_STATUS } from '../sweep/network-status.ts';
import { FakeWatch } from '../testing/fake-watch.ts';
import { followPods, type PodLoopOptions } from './pods.ts';

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(ending.splice(0).map((end) => end()));
});

const status = (...items: readonly object[]): string => JSON.stringify(items);
const net = (ip: string, name = 'lab/storage', ifname = 'net1') => ({ name, interface: ifname, ips: [ip] });

const pod = (name: string, networks?: string, uid = `u-${name}`): KubeObject => ({
  metadata: {
    name,
    namespace: 'lab',
    uid,
    ...(networks === undefined ? {} : { annotations: { [NETWORK_STATUS]: networks } }),
  },
});

class Lab {
  readonly server = new FakeWatch();
  readonly told = recordingEvents();
  readonly lines: string[] = [];

  pool(name: string, range: string, entries: Readonly<Record<string, object>>): void {
    this.server.put('ippools', poolObject('kube-system', name, { range, allocations: entries }));
  }

  keys(name: string): readonly string[] {
    const pool = this.server.all<IpPool>('ippools').find(({ metadata }) => metadata.name === name);
    return Object.keys(pool?.spec.allocations ?? {});
  }

  reservation(name: string, podref: string): void {
    const object: KubeObject & { spec: object } = { metadata: { name }, spec: { podref } };
    this.server.put('overlappingrangeipreservations', object);
  }

  reserved(): readonly string[] {
    return this.server.all<IpReservation>('overlappingrangeipreservations').map(({ metadata }) => metadata.name);
  }

  nad(ipam: object, name = 'storage'): void {
    const object: KubeObject & { spec: object } = {
      metadata: { name, namespace: 'lab' },
      spec: { config: JSON.stringify({ name: 'n', ipam }) },
    };
    this.server.put('network-attachment-definitions', object);
  }

  async start(options: PodLoopOptions = {}): Promise<void> {
    const stopping = new AbortController();
    const { signal } = stopping;
    const ended = followPods(
      {
        api: this.server,
        signal,
        events: this.told,
        metrics: makeMetrics(),
        options: {},
        log: (line) => this.lines.push(line),
        ...clockOf(signal),
      },
      { settleMs: 5, missedMs: 1, flatFiles: [], ...options },
    );
    ending.push(async () => {
      stopping.abort(new Error('over'));
      this.server.cut();
      await ended;
    });
    await until(() => this.server.isWatched('pods') && this.server.isWatched('network-attachment-definitions'));
  }

  gone(object: KubeObject): void {
    this.server.drop('pods', object.metadata.name);
    this.server.send('pods', 'DELETED', object);
  }

  reasons(): readonly string[] {
    return this.told.events.map(({ reason, message }) => `${reason}: ${message}`);
  }
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const WHEREABOUTS = { type: 'whereabouts', range: '10.0.0.0/24' };
const entry = (podref: string, ifname = 'net1', id = 'c1') => ({ id, podref, ifname });

describe('the pod loop', () => {
  it('frees what a deleted pod had, with its reservation, and tells of it as Go does', async () => {
    const lab = new Lab();
    lab.nad(WHEREABOUTS);
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: entry('lab/a'), 6: entry('lab/b'), 7: entry('lab/a', 'net2') });
    lab.reservation('10.0.0.5', 'lab/a');
    lab.reservation('10.0.0.6', 'lab/b');
    const [a, b] = [pod('a', status(net('10.0.0.5'))), pod('b', status(net('10.0.0.6')))];
    lab.server.put('pods', a);
    lab.server.put('pods', b);
    await lab.start();
    lab.gone(a);
    await until(() => lab.told.events.length > 0);
    // another interface of the pod is none of this network's address
    expect([lab.keys('10.0.0.0-24'), lab.reserved()]).toEqual([['6', '7'], ['10.0.0.6']]);
    expect(lab.told.events).toEqual([
      {
        type: 'Normal',
        reason: 'IPAddressGarbageCollected',
        message: 'successful cleanup of IP address [10.0.0.5] from network lab/storage',
        regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'lab', name: 'a', uid: 'u-a' },
        component: 'pod-ip-controlloop',
      },
    ]);
  });

  it('frees many pods of a pool with one reading and one patch', async () => {
    const lab = new Lab();
    lab.nad(WHEREABOUTS);
    const names = Array.from({ length: 20 }, (_, index) => `p${index}`);
    lab.pool('10.0.0.0-24', '10.0.0.0/24', Object.fromEntries(names.map((name, at) => [at + 1, entry(`lab/${name}`)])));
    const pods = names.map((name, at) => pod(name, status(net(`10.0.0.${at + 1}`))));
    for (const one of pods) {
      lab.server.put('pods', one);
    }
    await lab.start({ settleMs: 50 });
    lab.server.requests.length = 0;
    for (const one of pods) {
      lab.gone(one);
    }
    await until(() => lab.told.events.length === 20);
    const pools = lab.server.requests.filter(({ plural }) => plural === 'ippools').map(({ verb }) => verb);
    expect([pools, lab.keys('10.0.0.0-24')]).toEqual([['GET', 'PATCH'], []]);
  });

  it('leaves what a successor of the same name has, also one that comes while it is freed', async () => {
    const lab = new Lab();
    lab.nad(WHEREABOUTS);
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: entry('lab/a'), 6: entry('lab/b') });
    const [a, b] = [pod('a', status(net('10.0.0.5'))), pod('b', status(net('10.0.0.6')))];
    lab.server.put('pods', a);
    lab.server.put('pods', b);
    await lab.start();
    lab.server.use({
      mishap: ({ verb, plural, name }) => {
        if (verb === 'GET' && plural === 'pods' && name === 'b') {
          // its successor has taken it up by the time the pool is patched
          setImmediate(() =>
            lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: entry('lab/a'), 6: entry('lab/b', 'net1', 'c9') }),
          );
        }
        return 'none';
      },
      delay: () => 2,
    });
    lab.server.send('pods', 'DELETED', a);
    lab.server.put('pods', pod('a', undefined, 'next'));
    lab.gone(b);
    const asked = () => lab.server.requests.filter(({ verb, plural }) => verb === 'GET' && plural === 'ippools').length;
    await until(() => asked() >= 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([lab.keys('10.0.0.0-24'), lab.reasons()]).toEqual([['5', '6'], []]);
  });

  it('frees, after a while, what pods had that went before it began, and nothing of those that are there', async () => {
    const lab = new Lab();
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: entry('lab/gone'), 6: entry('lab/there'), 7: entry('') });
    lab.server.put('pods', pod('there'));
    await lab.start();
    await until(() => lab.told.events.length > 0);
    expect([lab.keys('10.0.0.0-24'), lab.reasons()]).toEqual([
      ['6', '7'],
      ['IPAddressGarbageCollected: successful cleanup of IP address [10.0.0.5] from network 10.0.0.0-24'],
    ]);
  });

  it('frees what pods had that went while its watch was cut', async () => {
    const lab = new Lab();
    lab.nad(WHEREABOUTS);
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: entry('lab/a') });
    lab.server.put('pods', pod('a', status(net('10.0.0.5'))));
    await lab.start();
    lab.server.drop('pods', 'a');
    lab.server.cut(410);
    await until(() => lab.told.events.length > 0);
    expect(lab.keys('10.0.0.0-24')).toEqual([]);
  });

  it('finds what is in the slice of a node', async () => {
    const lab = new Lab();
    lab.nad({ ...WHEREABOUTS, network_name: 'blue', node_slice_size: '/26' });
    lab.pool('blue-w-1-10.0.0.0-26', '10.0.0.0/26', { 5: entry('lab/a') });
    lab.pool('blue-w-2-10.0.0.64-26', '10.0.0.64/26', { 5: entry('lab/a') });
    lab.reservation('blue-10.0.0.5', 'lab/a');
    const a = pod('a', status(net('10.0.0.5')));
    lab.server.put('pods', a);
    await lab.start();
    lab.gone(a);
    await until(() => lab.told.events.length > 0);
    expect([lab.keys('blue-w-1-10.0.0.0-26'), lab.keys('blue-w-2-10.0.0.64-26'), lab.reserved()]).toEqual([
      [],
      ['5'],
      [],
    ]);
  });

  it.each([
    ['a network that is gone', status(net('10.0.0.5', 'lab/missing'))],
    ['an annotation that cannot be read', '{'],
    ['a network that cannot be read', status(net('10.0.0.5', 'lab/broken'))],
  ])('gives up after four tries, keeps the address and warns: %s', async (_, networks) => {
    const lab = new Lab();
    lab.nad({ ...WHEREABOUTS, range: 'nonsense' }, 'broken');
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: entry('lab/a') });
    const a = pod('a', networks);
    lab.server.put('pods', a);
    await lab.start();
    lab.gone(a);
    await until(() => lab.told.events.length > 0);
    expect([lab.keys('10.0.0.0-24'), lab.reasons()]).toEqual([
      ['5'],
      ['IPAddressGarbageCollectionFailed: failed to garbage collect addresses for pod lab/a'],
    ]);
  });

  it('says nothing of networks that are not of whereabouts, and of default networks that are unknown', async () => {
    const lab = new Lab();
    lab.nad({ type: 'host-local', ranges: [] }, 'local');
    lab.nad(WHEREABOUTS);
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 9: entry('lab/z') });
    const a = pod('a', status({ name: 'cbr0', default: true, ips: ['10.0.0.9'] }, net('10.0.0.9', 'lab/local')));
    const z = pod('z', status(net('10.0.0.9')));
    lab.server.put('pods', a);
    lab.server.put('pods', z);
    await lab.start();
    lab.gone(a);
    await new Promise((resolve) => setTimeout(resolve, 30));
    lab.gone(z);
    await until(() => lab.told.events.length > 0);
    expect(lab.told.events.map(({ regarding }) => regarding.name)).toEqual(['z']);
  });

  it('keeps what a deleted pod has that still runs on the node, and frees it when its sandbox has gone', async () => {
    const lab = new Lab();
    lab.nad(WHEREABOUTS);
    lab.pool('10.0.0.0-24', '10.0.0.0/24', {
      5: entry('lab/a', 'net1', 'runs'),
      6: entry('lab/b', 'net1', 'gone'),
      7: entry('lab/away', 'net1', 'runs too'),
    });
    lab.reservation('10.0.0.5', 'lab/a');
    const [a, b] = [pod('a', status(net('10.0.0.5'))), pod('b', status(net('10.0.0.6')))];
    lab.server.put('pods', a);
    lab.server.put('pods', b);
    const sandboxes = new Set(['runs', 'runs too']);
    let looks = 0;
    await lab.start({
      own: {
        node: 'n1',
        holders: async () => ['lab/away'],
        running: async () => {
          looks++;
          return (id) => (sandboxes.has(id) ? `sandbox ${id} runs` : undefined);
        },
      },
    });
    lab.gone(a);
    lab.gone(b);
    await until(() => lab.told.events.length > 0 && lab.lines.length > 2);
    await until(() => looks > 20); // it does not give up
    expect([lab.keys('10.0.0.0-24'), lab.reserved(), lab.lines.toSorted()]).toEqual([
      ['5', '7'],
      ['10.0.0.5'],
      [
        'lab/a keeps its addresses: sandbox runs runs',
        'lab/away keeps its addresses: sandbox runs too runs',
        'lab/b: successful cleanup of IP address [10.0.0.6] from network lab/storage',
      ],
    ]);
    sandboxes.clear();
    await until(() => lab.told.events.length === 3);
    expect([lab.keys('10.0.0.0-24'), lab.reserved()]).toEqual([[], []]);
    expect(lab.reasons().every((reason) => reason.startsWith('IPAddressGarbageCollected: '))).toBe(true);
  });

  it('tries again when the server is away', async () => {
    const lab = new Lab();
    lab.nad(WHEREABOUTS);
    lab.pool('10.0.0.0-24', '10.0.0.0/24', { 5: entry('lab/a') });
    const a = pod('a', status(net('10.0.0.5')));
    lab.server.put('pods', a);
    await lab.start();
    let failures = 2;
    lab.server.use({ mishap: ({ plural }) => (plural === 'ippools' && failures-- > 0 ? 'refused' : 'none') });
    lab.gone(a);
    await until(() => lab.told.events.length > 0);
    expect([lab.keys('10.0.0.0-24'), lab.told.events[0]?.type]).toEqual([[], 'Normal']);
  });
});
