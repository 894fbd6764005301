import { describe, expect, it } from 'vitest';
import { ApiError, type KubeApi } from '../../../lib/kube/api.ts';
import { storedRange } from '../names.ts';
import { mapOf } from '../pool-map.ts';
import { FakeKube } from '../testing/fake-kube.ts';
import { clusterAt, putNad, putPool, putSlices } from '../testing/surveyed.ts';
import { clusterViews, sliceLines } from './cluster-views.ts';
import { identify } from './pool-names.ts';
import { survey } from './survey.ts';

const look = (api: KubeApi) => survey(clusterAt(api), []);

describe('the pools of a cluster', () => {
  it('are shown as those of a node, with what definitions exclude', async () => {
    const kube = new FakeKube();
    putPool(kube, 'blue-10.0.0.0-28', '10.0.0.0/28', { 4: 'lab/a net1 idA', 13: 'lab/b net1 idB' });
    putNad(kube, 'n', {
      network_name: 'blue',
      range: '10.0.0.4-10.0.0.12/28',
      exclude: ['10.0.0.8'],
      gateway: '10.0.0.1',
      kubernetes: { kubeconfig: '/anywhere' },
    });
    putNad(kube, 'empty', { network_name: 'blue', range: 'fd00::/120' });
    putNad(kube, 'broken', { range: 'x' });
    const views = clusterViews(await look(kube));
    expect(views.map(({ name }) => name)).toEqual(['blue-10.0.0.0-28', 'blue-fd00---120']);
    expect(mapOf(views[0] as (typeof views)[0])[1]).toBe('  10.0.0.0  xSxx#...x....#xx');
    expect(views[0]?.counts).toEqual({ addresses: 16n, taken: 2n, static: 1n, excluded: 6n, free: 7n });
    expect(views[0]?.place).toEqual({
      kind: 'kubernetes',
      kubeconfig: '/k',
      namespace: 'kube-system',
      networkName: 'blue',
      node: '',
    });
  });

  it('tell the slices of nodes from networks, and keep to what the whole range excludes', async () => {
    const kube = new FakeKube();
    putSlices(kube, 'blue', '10.40.0.0/24', 'w-7 10.40.0.64/26', '- 10.40.0.128/26');
    putPool(kube, 'blue-w-7-10.40.0.64-26', '10.40.0.64/26', { 1: 'lab/a net1 idA' });
    putPool(kube, 'blue-w-7-10.41.0.0-24', '10.41.0.0/24', {});
    putNad(kube, 'n', { network_name: 'blue', range: '10.40.0.0/24', exclude: ['10.40.0.66'], node_slice_size: '/26' });
    const seen = await look(kube);
    const [slice, other] = clusterViews(seen);
    expect(slice?.place).toMatchObject({ networkName: 'blue', node: 'w-7' });
    expect(mapOf(slice as NonNullable<typeof slice>)[1]).toBe(`  10.40.0.64  x#x${'.'.repeat(60)}x`);
    expect(other?.place).toMatchObject({ networkName: 'blue', node: 'w-7' }); // of an older table
    expect(sliceLines(seen)).toEqual(['slices of "blue": 10.40.0.0/24 in parts of /26, 1 of 2 parts for nodes']);
  });

  it('that cannot be read are named, with keys that are no addresses', async () => {
    const kube = new FakeKube();
    putPool(kube, 'a', '10.0.0.0/24', {});
    putPool(kube, 'b', 'nonsense', {});
    putPool(kube, '10.1.0.0-24', '10.1.0.0/24', { x: 'lab/a net1 idA', 300: 'lab/b net1 idB', 5: 'lab/c net1 idC' });
    const { pools, unreadable } = await look(kube);
    expect(pools.map(({ stored }) => stored.name)).toEqual(['10.1.0.0-24']);
    expect(unreadable.map(({ text }) => text)).toEqual([
      'pool "a" is used by nobody: its range is "10.0.0.0/24", and pools of it have another name',
      'pool "b" is used by nobody: its range is "nonsense", which is no range',
      '10.1.1.44 of lab/b is not in range 10.1.0.0/24',
      'key "x" of lab/a is no address: others drop it when they write the pool',
    ]);
    expect(clusterViews(await look(kube))[0]?.counts.taken).toBe(1n);
  });

  it('are shown without what may not be asked, which is told', async () => {
    const kube = new FakeKube();
    putPool(kube, '10.0.0.0-24', '10.0.0.0/24', {});
    const list: KubeApi['list'] = (path) =>
      path.resource.plural === 'ippools'
        ? kube.list(path)
        : Promise.reject(new ApiError(`cannot list ${path.resource.plural}: forbidden`, { status: 403 }));
    const { pools, reservations, unasked } = await look(Object.assign(Object.create(kube), { list }) as KubeApi);
    expect([pools.length, reservations]).toEqual([1, undefined]);
    expect(unasked).toEqual([
      'cannot list overlappingrangeipreservations: forbidden: reservations across ranges are not known',
      'cannot list nodeslicepools: forbidden: slices are known by their pools only',
      'cannot list network-attachment-definitions: forbidden: what is excluded is known from configurations of this machine only',
    ]);
  });
});

describe('identify', () => {
  const slice = storedRange('10.40.3.0/26');
  const table = (name: string, nodeName: string, range = '10.40.0.0/16') => ({
    metadata: { name },
    spec: { range },
    status: { allocations: [{ nodeName, sliceRange: '10.40.3.0/26' }] },
  });
  it.each([
    ['10.40.3.0-26', [], { networkName: '', node: '' }],
    ['blue-10.40.3.0-26', [], { networkName: 'blue', node: '' }],
    ['w-7-10.40.3.0-26', [table('conf', 'w-7')], { networkName: '', node: 'w-7' }],
    ['blue-w-7-10.40.3.0-26', [table('blue', 'w-7')], { networkName: 'blue', node: 'w-7' }],
    ['blue-w-7-10.40.3.0-26', [table('blue-10.40.0.0-16', 'w-7')], { networkName: 'blue', node: 'w-7' }],
    ['blue-w-7-10.40.3.0-26', [table('red', 'w-7')], { networkName: 'blue-w-7', node: '' }],
    ['blue-10.40.3.0-24', [], undefined],
  ])('knows whose pool %s is', (name, tables, whose) => {
    expect(identify(name, slice, tables, [])).toEqual(whose);
  });
  it('asks configurations where no table tells', () => {
    const networks = [
      { networkName: '', sliceSize: '/26' },
      { networkName: 'blue', sliceSize: '/26' },
      { networkName: 'blue-w', sliceSize: '' },
    ];
    const of = (name: string) => identify(`${name}-10.40.3.0-26`, slice, [], networks);
    expect(of('blue-w')).toEqual({ networkName: 'blue-w', node: '' });
    expect(of('blue-x')).toEqual({ networkName: 'blue', node: 'x' });
    expect(of('node.example')).toEqual({ networkName: '', node: 'node.example' });
  });
});
