import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { applyCrds, applyRbac, type Variant } from '../../../conformance/cluster/manifests.ts';
import { ApiError, type KubeApi } from '../../../lib/kube/api.ts';
import { ClusterNode } from '../testing/cluster-node.ts';
import { isTooLarge } from './faults.ts';
import { KubeAccess } from './kube-access.ts';
import { type IpPool, poolAt, poolObject, poolsIn } from './objects.ts';
import { bytesOf, MOST_BYTES } from './pool-size.ts';

const RANGE = '10.8.0.0/16';
const NAME = '10.8.0.0-16';
const ENTRY = { id: 'i'.repeat(64), podref: 'lab/'.padEnd(41, 'x'), ifname: 'net1' };
const ENTRY_BYTES = JSON.stringify(ENTRY).length + 9;
/** What the server may note of an entry besides. */
const FIELDS_BYTES = 120;

/** Go's CRD lets the server note of each entry who has set it. */
describe.each<Variant>(['ours', 'go'])('a pool of a cluster with CRDs of kind %s', (variant) => {
  let cluster: Cluster;
  let access: KubeAccess;
  let api: KubeApi;
  let node: ClusterNode;

  beforeAll(async () => {
    cluster = await startCluster();
    await Promise.all([applyCrds(cluster, variant), applyRbac(cluster)]);
    const kubeconfig = cluster.kubeconfig('admin');
    access = new KubeAccess({ kubeconfig });
    api = await access.open();
    node = new ClusterNode(kubeconfig);
    await node.add(['lab/warm net0 warm'], '10.250.0.0/24');
  });

  afterAll(async () => {
    node?.[Symbol.dispose]();
    access?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  const look = () => api.get<IpPool>(poolAt(api.namespace, NAME));
  let entries = 0;
  const fill = async (count: number): Promise<void> => {
    const body = Array.from({ length: count }, () => {
      entries++;
      return { op: 'add' as const, path: `/spec/allocations/${entries + 10_000}`, value: ENTRY };
    });
    await api.patch<IpPool>(poolAt(api.namespace, NAME), { type: 'json', body });
  };

  it('is refused where etcd would refuse it, and not before', { timeout: 300_000 }, async () => {
    await api.create(poolsIn(api.namespace), poolObject(api.namespace, NAME, { range: RANGE, allocations: {} }));
    for (let room = MOST_BYTES; room > ENTRY_BYTES + FIELDS_BYTES; ) {
      await fill(Math.min(3000, Math.max(1, Math.floor(room / (ENTRY_BYTES + FIELDS_BYTES)))));
      room = MOST_BYTES - (bytesOf(await look(), entries) ?? entries * ENTRY_BYTES);
    }
    const before = await look();
    node.counted();
    const pod = 'lab/'.padEnd(310, 'x'); // longer than what is left
    const both = [`${pod} net1 ${ENTRY.id}`, `${pod} net2 ${ENTRY.id}`];
    await expect(node.add(both, RANGE)).rejects.toThrow(expect.objectContaining({ code: 100 }));
    expect(node.counted()).toBe('GET 3'); // both together, then each by itself
    expect((await look()).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    // A few kilobytes more, and etcd says no.
    const refused = await fill(Math.ceil(4096 / ENTRY_BYTES)).catch((error: unknown) => error);
    expect(refused instanceof ApiError && isTooLarge(refused)).toBe(true);
  });
});
