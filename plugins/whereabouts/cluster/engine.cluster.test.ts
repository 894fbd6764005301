import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { applyCrds, applyRbac, type Variant } from '../../../conformance/cluster/manifests.ts';
import { ClusterNode } from '../testing/cluster-node.ts';
import { accessTo } from './kube-access.ts';
import { type IpPool, type IpReservation, poolAt, poolsIn, reservationsIn } from './objects.ts';

const NETWORKS = 16;
const podOf = (pod: string, id = `id-${pod}`): readonly string[] =>
  Array.from({ length: NETWORKS }, (_, index) => `lab/${pod} net${index} ${id}`);

describe.each<Variant>(['ours', 'go', 'old'])('a cluster with CRDs of kind %s', (variant) => {
  let cluster: Cluster;
  let kubeconfig: string;
  const nodes: ClusterNode[] = [];

  beforeAll(async () => {
    cluster = await startCluster();
    await Promise.all([applyCrds(cluster, variant), applyRbac(cluster)]);
    kubeconfig = cluster.kubeconfig('admin');
    const warm = node();
    await warm.add(['lab/warm net0 warm'], '10.250.0.0/24');
    await warm.del(['lab/warm net0 warm'], '10.250.0.0/24');
  });

  afterAll(async () => {
    for (const one of nodes) {
      one[Symbol.dispose]();
    }
    await cluster?.[Symbol.asyncDispose]();
  });

  function node(): ClusterNode {
    const one = new ClusterNode(kubeconfig);
    nodes.push(one);
    return one;
  }

  async function look(range: string) {
    using access = accessTo({ kubeconfig });
    const api = await access.open();
    const name = range.replaceAll(':', '-').replace('/', '-');
    const { spec } = await api.get<IpPool>(poolAt(api.namespace, name));
    const reservations = await api.list<IpReservation>(reservationsIn(api.namespace));
    const prefix = range.slice(0, range.lastIndexOf('.') + 1);
    return {
      held: Object.entries(spec.allocations ?? {}).map(([key, { id, podref }]) => `${key} ${podref} ${id}`),
      reserved: reservations.map(({ metadata }) => metadata.name).filter((one) => one.startsWith(prefix)),
      pools: (await api.list(poolsIn(api.namespace))).length,
    };
  }

  it('gives a pod with 16 networks its addresses with the fewest requests, and takes them back', async () => {
    const one = node();
    await one.add(['lab/first net0 first'], '10.1.0.0/24');
    one.counted();
    const given = await one.add(podOf('a'), '10.1.0.0/24');
    expect(given).toEqual(Array.from({ length: NETWORKS }, (_, index) => `10.1.0.${index + 2}`));
    expect(one.counted()).toBe('GET 1, PATCH 1, POST 16');
    expect(await one.add(podOf('a'), '10.1.0.0/24')).toEqual(given);
    one.counted();
    await one.del(podOf('a'), '10.1.0.0/24');
    // The old one has dropped the names of interfaces, which must be found out first.
    expect(one.counted()).toBe(variant === 'old' ? 'DELETE 16, GET 1, PATCH 2' : 'DELETE 16, PATCH 1');
    expect(await look('10.1.0.0/24')).toMatchObject({ held: ['1 lab/first first'], reserved: ['10.1.0.1'] });
  });

  it('doubles and loses nothing when eight nodes fill a range that just fits, and empty it', async () => {
    const range = '10.2.0.0/24'; // 254 addresses: 15 pods of 16, and one of 14
    const all = Array.from({ length: 8 }, node);
    const pods = Array.from({ length: 16 }, (_, index) => podOf(`s${index}`).slice(0, index === 15 ? 14 : NETWORKS));
    const given = await Promise.all(pods.map((pod, index) => all[index % all.length]?.add(pod, range)));
    expect(new Set(given.flat()).size).toBe(254);
    expect((await look(range)).held).toHaveLength(254);
    await expect(all[0]?.add(['lab/late net0 late'], range)).rejects.toThrow('Could not allocate IP in range');
    await Promise.all(pods.map((pod, index) => all[index % all.length]?.del(pod, range)));
    expect(await look(range)).toMatchObject({ held: [], reserved: [] });
    expect(all.flatMap(({ lines }) => lines)).toEqual([]);
  });

  it('keeps ranges that overlap apart', async () => {
    const one = node();
    expect(await one.add(['lab/x net0 x', 'lab/y net0 y'], '10.3.0.0/28')).toEqual(['10.3.0.1', '10.3.0.2']);
    const [third] = await one.add(['lab/z net0 z'], '10.3.0.0/24');
    expect(['10.3.0.1', '10.3.0.2', undefined]).not.toContain(third);
  });

  it('gives every address in a storm in which the server is killed', async () => {
    const range = '10.4.0.0/22';
    const all = Array.from({ length: 4 }, node);
    const pods = Array.from({ length: 12 }, (_, index) => podOf(`k${index}`));
    const adding = Promise.all(pods.map((pod, index) => all[index % all.length]?.add(pod, range)));
    await new Promise((resolve) => setTimeout(resolve, 150));
    await cluster.restart('kill');
    const given = (await adding).flat();
    expect(new Set(given).size).toBe(pods.length * NETWORKS);
    expect((await look(range)).held).toHaveLength(given.length);
    await Promise.all(pods.map((pod, index) => all[index % all.length]?.del(pod, range)));
    expect(await look(range)).toMatchObject({ held: [], reserved: [] });
  });
});
