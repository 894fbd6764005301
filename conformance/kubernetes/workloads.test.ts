/** Pods that a Deployment, a StatefulSet and a Job make; their template asks for networks by annotation. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KUBELET_GC_MS, leavesNothing, untilTaken } from './everything.ts';
import { Kubernetes } from './kubernetes.ts';
import { applyNetwork, installMultus } from './multus.ts';
import { macvlan, whereabouts } from './networks.ts';
import { createPods, deletePods, NETWORKS, networkStatusOf, removePods, runPods } from './pods.ts';
import { taken } from './pools.ts';
import { RAILS } from './wires.ts';
import { createReplicas, remove, runJob, scale } from './workloads.ts';

let kubernetes: Kubernetes;

beforeAll(async () => {
  kubernetes = await Kubernetes.start({ nodes: 2 });
  await installMultus(kubernetes);
  for (const [index, rail] of RAILS.entries()) {
    await applyNetwork(kubernetes, `net-${index}`, { cniVersion: '0.3.1', ...macvlan(rail, `10.7.${index}.0/24`) });
  }
});

afterAll(() => kubernetes?.[Symbol.asyncDispose]());

it('a Deployment from none to 20 and back', async () => {
  await leavesNothing(kubernetes, async () => {
    await createReplicas(kubernetes, 'Deployment', 'web', 'net-0,net-1,net-2');
    const pods = await scale(kubernetes, 'Deployment', 'web', 20);
    const addresses = pods.flatMap((pod) => networkStatusOf(pod).flatMap(({ ips = [] }) => ips));
    expect(new Set(addresses).size).toBe(80);
    await scale(kubernetes, 'Deployment', 'web', 0);
    expect(await taken(kubernetes)).toEqual([]);
    await remove(kubernetes, 'Deployment', 'web');
  });
});

it('40 pods at once, on both nodes: made and deleted, and deleted while they start', { timeout: 600_000 }, async () => {
  const wanted = Array.from({ length: 40 }, (_, index) => ({
    name: `pod-${index}`,
    node: index % 2 === 0 ? 'n1' : 'n2',
    annotations: { [NETWORKS]: 'net-0,net-1,net-2' },
  }));
  await leavesNothing(kubernetes, async () => {
    const pods = await runPods(kubernetes, wanted);
    const addresses = pods.flatMap((pod) => networkStatusOf(pod).flatMap(({ ips = [] }) => ips));
    expect(new Set(addresses).size).toBe(160);
    expect(await taken(kubernetes)).toHaveLength(160);
    await deletePods(
      kubernetes,
      wanted.map(({ name }) => name),
    );
    await removePods(kubernetes); // waits for them
  });
  const work = async (): Promise<void> => {
    await createPods(kubernetes, wanted);
    await removePods(kubernetes);
  };
  await leavesNothing(kubernetes, work, KUBELET_GC_MS);
});

it('a StatefulSet keeps the addresses of a sticky pool when its pods are made anew', async () => {
  await applyNetwork(kubernetes, 'sticky', {
    cniVersion: '0.3.1',
    type: 'macvlan',
    master: 'rail0',
    ipam: whereabouts('10.9.0.0/16', { sticky: true }),
  });
  await leavesNothing(kubernetes, async () => {
    await createReplicas(kubernetes, 'StatefulSet', 'data', 'sticky');
    const addresses = async (): Promise<readonly string[]> => {
      const pods = await scale(kubernetes, 'StatefulSet', 'data', 4);
      return pods.map((pod) => `${pod.metadata.name} ${networkStatusOf(pod)[1]?.ips?.join()}`).sort();
    };
    const before = await addresses();
    await scale(kubernetes, 'StatefulSet', 'data', 0);
    expect(await addresses()).toEqual(before);
    await remove(kubernetes, 'StatefulSet', 'data');
  });
});

it('a Job gives its addresses back when its pods have ended, though the API still has them', async () => {
  await leavesNothing(kubernetes, async () => {
    const pods = await runJob(kubernetes, 'once', 'net-0,net-1', 6);
    expect(pods.map((pod) => networkStatusOf(pod).length)).toEqual([3, 3, 3, 3, 3, 3]);
    await untilTaken(kubernetes, 0);
    await remove(kubernetes, 'Job', 'once');
  });
});
