import { describe, expect, it } from 'vitest';
import { poolObject } from '../cluster/objects.ts';
import type { Stored } from '../cluster/pool-entries.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { ip } from '../testing/fixtures.ts';
import { isSameEntry, type Judgement, orphaned, suspectsIn } from './entries.ts';
import { NETWORK_STATUS, networkStatusOf } from './network-status.ts';
import { clusterNetwork, isPoolOf, mayGive, networksOf } from './networks.ts';
import { hasAddress, podFacts, podNamed } from './pods.ts';
import { holdersIn, possibleNetworks, sweptPool } from './pools.ts';
import { reservationState, unprotectedIn } from './reservations.ts';

const NOW = Date.parse('2026-01-02T12:00:00Z');
const judgement: Judgement = { nowMs: NOW, graceMs: 300_000, isEndEnough: false };

const status = (...items: readonly object[]) => ({ [NETWORK_STATUS]: JSON.stringify(items) });
const net = (...ips: readonly string[]) => ({ name: 'lab/storage', interface: 'net1', ips });

const pod = (annotations: Readonly<Record<string, string>> = {}, more: object = {}, createdMs = NOW - 3_600_000) =>
  podFacts({
    metadata: {
      name: 'a',
      namespace: 'lab',
      uid: 'u1',
      creationTimestamp: new Date(createdMs).toISOString(),
      annotations,
    },
    ...more,
  });

const pool = (name: string, range: string, entries: Readonly<Record<string, object>>): StoredPool =>
  sweptPool(poolObject('kube-system', name, { range, allocations: entries })) as StoredPool;

const held = (podref: string, address = 5, id = 'c1'): Stored =>
  storedIn(pool('10.0.0.0-24', '10.0.0.0/24', { [address]: { id, podref, ifname: 'net1' } }))[0] as Stored;

describe('networkStatusOf', () => {
  it('reads names, interfaces and addresses, those of the default network too', () => {
    const annotations = status({ name: 'cbr0', default: true, ips: ['10.244.0.5'] }, net('fd00::5', '10.0.0.5/24'));
    expect(networkStatusOf({ annotations })).toEqual([
      { name: 'cbr0', ifname: '', ips: [ip('10.244.0.5')], isDefault: true },
      { name: 'lab/storage', ifname: 'net1', ips: [ip('fd00::5'), ip('10.0.0.5')], isDefault: false },
    ]);
  });

  it('is undefined when multus has said nothing, and throws when it cannot be read', () => {
    expect(networkStatusOf({})).toBeUndefined();
    expect(networkStatusOf({ annotations: { [NETWORK_STATUS]: '' } })).toBeUndefined();
    for (const text of ['{', '{}', '[1]']) {
      expect(() => networkStatusOf({ annotations: { [NETWORK_STATUS]: text } })).toThrow();
    }
  });
});

describe('hasAddress', () => {
  it('compares addresses, not texts, and counts the default network', () => {
    expect(hasAddress(pod(status(net('FD00:0::05'))), ip('fd00::5'))).toBe(true);
    expect(hasAddress(pod(status({ name: 'x', default: true, ips: ['10.0.0.5'] })), ip('10.0.0.5'))).toBe(true);
    expect(hasAddress(pod({}, { status: { podIPs: [{ ip: '10.0.0.5' }] } }), ip('10.0.0.5'))).toBe(true);
    expect(hasAddress(pod(status(net('10.0.0.6'))), ip('10.0.0.5'))).toBe(false);
  });
});

describe('podNamed', () => {
  it.each(['', 'a', '/a', 'a/', 'a/b/c'])('knows no pod "%s"', (podref) => {
    expect(podNamed(podref)).toBeUndefined();
  });
});

describe('orphaned', () => {
  it('says why nobody uses an entry', () => {
    expect(orphaned(held('lab/a'), undefined, judgement)).toBe('absent');
    expect(orphaned(held('lab/a'), pod(status(net('10.0.0.6'))), judgement)).toBe('unused');
    expect(orphaned(held('lab/a'), pod(status(net('10.0.0.5'))), judgement)).toBeUndefined();
  });

  it('leaves pods alone that are young, of which multus has said nothing, or whose annotation cannot be read', () => {
    const young = pod(status(net('10.0.0.6')), {}, NOW - 299_000);
    for (const one of [young, pod(), pod({ [NETWORK_STATUS]: '{' })]) {
      expect(orphaned(held('lab/a'), one, judgement)).toBeUndefined();
    }
  });

  it('leaves entries alone that name no pod', () => {
    expect(orphaned(held(''), undefined, judgement)).toBeUndefined();
    expect(orphaned(held('no-namespace'), undefined, judgement)).toBeUndefined();
  });

  it.each([
    [{ phase: 'Succeeded' }],
    [{ phase: 'Failed' }],
    [{ conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager' }] }],
  ])('frees what pods that have ended hold only when told to: %j', (of) => {
    const ended = pod(status(net('10.0.0.5')), { status: of });
    expect(orphaned(held('lab/a'), ended, judgement)).toBeUndefined();
    expect(orphaned(held('lab/a'), ended, { ...judgement, isEndEnough: true })).toBe('ended');
  });

  it('finds of two entries of a pod the one that is wrong', () => {
    const both = pool('10.0.0.0-24', '10.0.0.0/24', {
      5: { id: 'c1', podref: 'lab/a', ifname: 'net1' },
      6: { id: 'c1', podref: 'lab/a', ifname: 'net1' },
      7: { id: 'c2', podref: 'lab/gone', ifname: 'net1' },
    });
    const pods = new Map([['lab/a', pod(status(net('10.0.0.6')))]]);
    const found = suspectsIn(both, (podref) => pods.get(podref), judgement);
    expect(found.map(({ stored, why }) => [stored.key, why])).toEqual([
      ['5', 'unused'],
      ['7', 'absent'],
    ]);
  });

  it('tells an entry that was refreshed', () => {
    expect(isSameEntry(held('lab/a'), held('lab/a'))).toBe(true);
    expect(isSameEntry(held('lab/a'), held('lab/a', 5, 'c2'))).toBe(false);
    expect(isSameEntry(held('lab/a'), undefined)).toBe(false);
  });
});

describe('reservationState', () => {
  const reservation = (name: string, podref: string) => ({ metadata: { name }, spec: { podref } });
  const holders = holdersIn([
    pool('blue-10.0.0.0-24', '10.0.0.0/24', { 5: { id: 'c1', podref: 'lab/a', ifname: 'net1' } }),
    pool('blue-fd00---64', 'fd00::/64', { 0: { id: 'c1', podref: 'lab/a' }, 5: { id: 'c1', podref: 'lab/a' } }),
    pool('red-w-7-10.1.0.0-26', '10.1.0.0/26', { 1: { id: 'c1', podref: 'lab/b' } }),
  ]);

  it.each([
    ['blue-10.0.0.5', 'lab/a', 'held'],
    ['blue-10.0.0.5', 'lab/b', 'in the way'],
    ['blue-10.0.0.6', 'lab/a', 'orphaned'],
    ['blue-fd00--0', 'lab/a', 'held'],
    ['blue-fd00--5', 'lab/a', 'held'],
    ['red-10.1.0.1', 'lab/b', 'held'],
    ['red-10.1.0.2', 'lab/b', 'orphaned'],
    ['green-10.0.0.5', 'lab/a', 'orphaned'],
  ])('of "%s" for %s: %s', (name, podref, state) => {
    expect(reservationState(reservation(name, podref), holders)).toBe(state);
  });

  it('finds addresses that nothing protects', () => {
    const one = pool('blue-10.0.0.0-24', '10.0.0.0/24', {
      5: { id: 'c1', podref: 'lab/a' },
      6: { id: 'c1', podref: 'lab/b' },
      7: { id: 'c1' },
    });
    expect(unprotectedIn(one, 'blue', new Set(['blue-10.0.0.5'])).map(({ name }) => name)).toEqual(['blue-10.0.0.6']);
  });
});

describe('possibleNetworks', () => {
  it.each([
    ['10.0.0.0-24', ['']],
    ['blue-10.0.0.0-24', ['', 'blue']],
    ['blue-w-7-10.0.0.0-24', ['', 'blue', 'blue-w', 'blue-w-7']],
  ])('of "%s"', (name, networks) => {
    expect(possibleNetworks(pool(name, '10.0.0.0/24', {}))).toEqual(networks);
  });
});

describe('clusterNetwork', () => {
  const nad = (config: object | string, name = 'storage') => ({
    metadata: { name, namespace: 'lab' },
    spec: { config: typeof config === 'string' ? config : JSON.stringify(config) },
  });
  const ipam = { type: 'whereabouts', range: '10.0.0.0/24', exclude: ['10.0.0.8/29'], network_name: 'blue' };

  it('reads single configurations and lists, wherever whereabouts is in them', () => {
    const plain = clusterNetwork(nad({ name: 'n', type: 'macvlan', ipam }));
    expect(plain).toMatchObject({ nad: 'lab/storage', confName: 'n', networkName: 'blue', protectOverlaps: true });
    const plugins = [{ type: 'sbr' }, { type: 'macvlan', ipam: { ...ipam, enable_overlapping_ranges: false } }];
    expect(clusterNetwork(nad({ name: 'l', plugins }))).toMatchObject({ confName: 'l', protectOverlaps: false });
  });

  it('passes over what is not about the pools of the cluster, and tells what is wrong', () => {
    const others = ['', '[]', { type: 'macvlan' }, { ipam: { type: 'host-local' } }, { plugins: [] }];
    expect(others.map((config) => clusterNetwork(nad(config)))).toEqual(others.map(() => undefined));
    expect(clusterNetwork(nad({ ipam: { ...ipam, datastore: 'file' } }))).toBeUndefined();
    const { networks, faults } = networksOf([nad('{'), nad({ ipam }, 'good'), nad({ ipam: { ...ipam, range: 'x' } })]);
    expect(networks.map((one) => one.nad)).toEqual(['lab/good']);
    expect(faults).toEqual([
      expect.stringContaining('cannot use network "lab/storage"'),
      expect.stringContaining('invalid CIDR x'),
    ]);
  });

  it('knows its pools, in slices too, and what it gives', () => {
    const plain = clusterNetwork(nad({ ipam }));
    const sliced = clusterNetwork(nad({ ipam: { ...ipam, node_slice_size: '/26' } }));
    const unnamed = clusterNetwork(nad({ ipam: { ...ipam, network_name: '', node_slice_size: '/26' } }));
    const [whole, slice, other] = [
      pool('blue-10.0.0.0-24', '10.0.0.0/24', {}),
      pool('blue-w-7-10.0.0.64-26', '10.0.0.64/26', {}),
      pool('w-7-10.0.1.64-26', '10.0.1.64/26', {}),
    ] as const;
    const known = [plain, sliced, unnamed].map(
      (network) => network && [whole, slice, other].map((one) => isPoolOf(one, network)),
    );
    expect(known).toEqual([
      [true, false, false],
      [false, true, false],
      [false, true, false],
    ]);
    expect(plain && ['10.0.0.5', '10.0.0.8', '10.0.0.255', '10.0.1.1'].map((text) => mayGive(plain, ip(text)))).toEqual(
      [true, false, false, false],
    );
  });
});
