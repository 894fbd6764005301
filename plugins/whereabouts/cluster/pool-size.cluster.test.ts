import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { applyCrds, applyRbac, type Variant } from '../../../conformance/cluster/manifests.ts';
import { type Answer, expectSuccess } from '../../../conformance/cluster/request.ts';
import { ApiError } from '../../../lib/kube/api.ts';
import { isTooLarge } from '../../../lib/kube/faults.ts';
import { ClusterNode } from '../testing/cluster-node.ts';
import { MOST_BYTES, writtenBytes } from './object-size.ts';
import { type IpPool, poolObject } from './objects.ts';

const RANGE = '10.8.0.0/16';
const POOLS = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools';
const POOL = `${POOLS}/10.8.0.0-16`;
const ENTRY = { id: 'i'.repeat(64), podref: 'lab/'.padEnd(41, 'x'), ifname: 'net1' };
const ENOUGH_TO_MEASURE = 2000;
/** With notes of 57 bytes, these are a few kilobytes below the limit. */
const NOTED = 7540;
/** etcd's own limit is not far from ours. */
const BEYOND_BYTES = 4096;

/** Go's CRD lets the server note of each entry who has set it, and drop that when there is no room for it. */
describe.each<Variant>(['ours', 'go'])('a pool of a cluster with CRDs of kind %s', (variant) => {
  let cluster: Cluster;
  let node: ClusterNode;

  beforeAll(async () => {
    cluster = await startCluster();
    await Promise.all([applyCrds(cluster, variant), applyRbac(cluster)]);
    node = new ClusterNode(cluster.kubeconfig('admin'));
    await node.add(['lab/warm net0 warm'], '10.250.0.0/24');
  });

  afterAll(async () => {
    node?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  /** Makes the pool anew, with so many addresses. */
  async function make(entries: number): Promise<Answer> {
    await cluster.send(POOL, { method: 'DELETE' });
    const allocations = Object.fromEntries(Array.from({ length: entries }, (_, at) => [String(at + 10_000), ENTRY]));
    const body = poolObject('kube-system', '10.8.0.0-16', { range: RANGE, allocations });
    return cluster.send(POOLS, { method: 'POST', body });
  }
  const bytesWith = async (entries: number): Promise<number> =>
    writtenBytes((await expectSuccess<IpPool>(make(entries))) as IpPool);
  const version = async () => (await expectSuccess<IpPool>(cluster.send(POOL))).metadata.resourceVersion;

  it('is refused where etcd would refuse it, and not before', async () => {
    const few = await bytesWith(ENOUGH_TO_MEASURE);
    const each = ((await bytesWith(2 * ENOUGH_TO_MEASURE)) - few) / ENOUGH_TO_MEASURE;
    const most = ENOUGH_TO_MEASURE + Math.floor((MOST_BYTES - few) / each);
    const bytes = await bytesWith(most);
    expect(MOST_BYTES - bytes).toBeGreaterThanOrEqual(0);
    expect(MOST_BYTES - bytes).toBeLessThan(300);
    const before = await version();
    node.counted();
    const pod = 'lab/'.padEnd(310, 'x'); // longer than what is left
    await expect(node.add([`${pod} net1 ${'j'.repeat(64)}`], RANGE)).rejects.toThrow(
      expect.objectContaining({ code: 100 }),
    );
    expect(node.counted()).toBe('GET 1');
    expect(await version()).toBe(before);
    const { status, body } = await make(most + Math.ceil(BEYOND_BYTES / each));
    expect(isTooLarge(new ApiError(JSON.stringify(body), { status }))).toBe(true);
  }, 180_000);

  it('takes more when only what the server notes of its fields is too much', async () => {
    await expectSuccess(make(NOTED));
    const who = Array.from({ length: 32 }, (_, at) => `lab/more net${at} ${'j'.repeat(64)}`);
    expect(await node.add(who, RANGE)).toHaveLength(32);
    const { spec } = await expectSuccess<IpPool>(cluster.send(POOL));
    expect(Object.keys(spec.allocations ?? {})).toHaveLength(NOTED + 32);
  }, 180_000);
});
