import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { applyCrds, applyRbac, type Variant } from '../../../conformance/cluster/manifests.ts';
import { serviceAccountToken } from '../../../conformance/cluster/objects.ts';
import { expectSuccess } from '../../../conformance/cluster/request.ts';
import type { Concurrency } from '../place.ts';
import { owner, rangesOf, reserved } from '../testing/fixtures.ts';
import { SlicedNode } from '../testing/sliced-node.ts';

const API = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system';
const RANGE = '172.21.40.0/22';
const NETWORKS = 16;
const podOf = (pod: string) => Array.from({ length: NETWORKS }, (_, index) => `lab/${pod} net${index} id-${pod}`);

interface Listed<T> {
  readonly items: readonly (T & { readonly metadata: { readonly name: string } })[];
}
interface Pool {
  readonly spec: { readonly range: string; readonly allocations: Readonly<Record<string, object>> };
}

describe.each<readonly [Variant, Concurrency]>([
  ['ours', 'cas'],
  ['go', 'lease'],
])('nodes with slices, CRDs of kind %s, %s', (variant, concurrency) => {
  let cluster: Cluster;
  let kubeconfig: string;
  const nodes: SlicedNode[] = [];

  beforeAll(async () => {
    cluster = await startCluster();
    await Promise.all([applyCrds(cluster, variant), applyRbac(cluster)]);
    const token = await serviceAccountToken(cluster, 'braid-whereabouts');
    kubeconfig = cluster.kubeconfig('whereabouts', { token, namespace: 'kube-system' });
  });

  afterAll(async () => {
    for (const one of nodes) {
      one[Symbol.dispose]();
    }
    await cluster?.[Symbol.asyncDispose]();
  });

  function node(name: string, networkName: string): SlicedNode {
    const one = new SlicedNode(name, { kubeconfig, networkName, concurrency });
    nodes.push(one);
    return one;
  }

  /** As a controller writes it. */
  async function cut(name: string, range: string, slices: readonly (readonly [string, string])[]): Promise<void> {
    const body = {
      apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
      kind: 'NodeSlicePool',
      metadata: { name },
      spec: { range, sliceSize: '/26' },
      status: { allocations: slices.map(([nodeName, sliceRange]) => ({ nodeName, sliceRange })) },
    };
    await expectSuccess(cluster.send(`${API}/nodeslicepools`, { method: 'POST', body }));
  }

  async function poolsOf(networkName: string) {
    const { items } = await expectSuccess<Listed<Pool>>(cluster.send(`${API}/ippools`));
    const own = items.filter(({ metadata }) => metadata.name.startsWith(`${networkName}-`));
    return Object.fromEntries(
      own.map(({ metadata, spec }) => [metadata.name, [spec.range, Object.keys(spec.allocations).length]]),
    );
  }

  async function namesOf(kind: string, prefix: string): Promise<readonly string[]> {
    const { items } = await expectSuccess<Listed<object>>(cluster.send(`${API}/${kind}`));
    return items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith(prefix));
  }

  it('give disjoint addresses of their own slices, without what is excluded, and take them back', async () => {
    await cut('storage', RANGE, [
      ['w-1', '172.21.40.0/26'],
      ['w-2', '172.21.40.64/26'],
      ['', '172.21.40.128/26'],
    ]);
    const both = [node('w-1', 'storage'), node('w-2', 'storage')];
    const ranges = rangesOf({ range: RANGE, exclude: ['172.21.40.0/28', '172.21.40.64/28'] });
    const adding = both.flatMap(({ store }, index) =>
      ['a', 'b'].flatMap((pod) => podOf(`${pod}${index}`).map((who) => reserved(store, who, ranges))),
    );
    const given = (await Promise.all(adding)).flat();
    const lasts = given.map((address) => Number(address.split('.')[3]));
    expect(new Set(given).size).toBe(2 * 2 * NETWORKS);
    expect(lasts.slice(0, 32).every((last) => last >= 16 && last <= 62)).toBe(true);
    expect(lasts.slice(32).every((last) => last >= 80 && last <= 126)).toBe(true);
    expect(await poolsOf('storage')).toEqual({
      'storage-w-1-172.21.40.0-26': ['172.21.40.0/26', 32],
      'storage-w-2-172.21.40.64-26': ['172.21.40.64/26', 32],
    });
    expect((await namesOf('overlappingrangeipreservations', 'storage-')).toSorted()).toEqual(
      given.map((address) => `storage-${address}`).toSorted(),
    );
    const freeing = both.flatMap(({ store }, index) =>
      ['a', 'b'].flatMap((pod) => podOf(`${pod}${index}`).map((who) => store.release(owner(who), ranges))),
    );
    await Promise.all(freeing);
    expect(Object.values(await poolsOf('storage')).map(([, count]) => count)).toEqual([0, 0]);
    expect(await namesOf('overlappingrangeipreservations', 'storage-')).toEqual([]);
    expect(both.flatMap(({ lines }) => lines)).toEqual([]);
  });

  it('get a slice of each range, and wait for a controller to say which', async () => {
    const { store } = node('w-1', 'dual');
    const ranges = rangesOf('10.40.0.0/16', 'fd40::/64');
    await cut('dual', '10.40.0.0/16', [['w-1', '10.40.3.0/26']]);
    await expect(reserved(store, 'lab/p net1 id', ranges)).rejects.toMatchObject({
      code: 11,
      message: expect.stringContaining('there is no NodeSlicePool "dual-fd40---64" yet'),
    });
    expect(await poolsOf('dual')).toEqual({});
    await cut('dual-fd40---64', 'fd40::/64', [['w-1', 'fd40::1:0:0:0/80']]);
    expect(await reserved(store, 'lab/p net1 id', ranges)).toEqual(['10.40.3.1', 'fd40::1:0:0:1']);
    expect(Object.keys(await poolsOf('dual'))).toEqual(['dual-w-1-10.40.3.0-26', 'dual-w-1-fd40--1-0-0-0-80']);
  });

  it('do not give what another range of the network holds', async () => {
    await cut('shared', '10.50.0.0/16', [['w-1', '10.50.0.0/26']]);
    await cut('shared-10.50.0.0-24', '10.50.0.0/24', [['w-1', '10.50.0.0/26']]);
    const { store } = node('w-1', 'shared');
    const given = await Promise.all(
      podOf('s').map((who) => reserved(store, who, rangesOf('10.50.0.0/16', '10.50.0.0/24'))),
    );
    expect(new Set(given.flat()).size).toBe(given.flat().length);
  });

  it('free what they gave when the slice is gone, and the journal too', async () => {
    await cut('gone', '10.60.0.0/16', [['w-1', '10.60.0.0/26']]);
    const ranges = rangesOf('10.60.0.0/16');
    const { store } = node('w-1', 'gone');
    await reserved(store, 'lab/p net1 id1', ranges);
    await reserved(store, 'lab/q net1 id2', ranges);
    await expectSuccess(cluster.send(`${API}/nodeslicepools/gone`, { method: 'DELETE' }));
    expect(await store.release(owner('lab/p net1 id1'), ranges)).toHaveLength(1);
    expect(await node('w-1', 'gone').store.release(owner('lab/q net1 id2'), ranges)).toHaveLength(1);
    expect(await poolsOf('gone')).toEqual({ 'gone-w-1-10.60.0.0-26': ['10.60.0.0/26', 0] });
    expect(await namesOf('overlappingrangeipreservations', 'gone-')).toEqual([]);
  });
});
