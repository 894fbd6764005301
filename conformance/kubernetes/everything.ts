/** All that pods may leave: in the cluster's pools, on the nodes' disks, in the kernel. */
import { expect } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import { comparable, type Entry, stateOf } from '../lab/state.ts';
import type { AnyNode } from './any-node.ts';
import type { Kubernetes } from './kubernetes.ts';
import { allPods } from './pods.ts';
import { reserved, taken } from './pools.ts';

/** Stores of whereabouts stay, and are looked at by what they hold; so do files that are there to be locked. */
const isLasting = (name: string): boolean => /^whereabouts\/|\/vf_lock\/|\/$/.test(name);

/** By name: a device that was unbound and bound, or made again, has a link with a new index. */
const inOrder = (links: readonly Entry[]): readonly Entry[] =>
  [...links].sort((a, b) => String(a['ifname']).localeCompare(String(b['ifname'])));

async function onNode(node: AnyNode) {
  const { links, addresses, routes } = comparable(await stateOf(node.netns, node.run));
  const files = await node.names('/var/lib/cni');
  const sandboxes = await node.cri.sandboxes(); // those that have ended are removed a minute later
  return {
    network: { links: inOrder(links), addresses, routes },
    files: files.filter((name) => !isLasting(name)),
    namespaces: await node.names('/run/netns'),
    sandboxes: sandboxes.filter(({ isReady }) => isReady).map(({ pod }) => pod),
  };
}

export async function everything(kubernetes: Kubernetes) {
  const [pods, addresses, marks, ...nodes] = await Promise.all([
    allPods(kubernetes),
    taken(kubernetes),
    reserved(kubernetes),
    ...kubernetes.all.map(onNode),
  ]);
  return { pods: pods.map(({ metadata }) => metadata.name), addresses, marks, nodes };
}

/** On a machine with far too much to do, or emulated on one, where each look takes seconds. */
const PATIENCE_MS = 120_000;

/** What a node without pods has of them: nothing. */
const CLEAN = { files: [], namespaces: [], sandboxes: [] };

/** Waits until nothing is left of pods that have been deleted. */
export async function untilClean(kubernetes: Kubernetes, patienceMs = PATIENCE_MS): Promise<void> {
  const look = async () => {
    const { nodes, ...cluster } = await everything(kubernetes);
    return { ...cluster, nodes: nodes.map(({ network: _, ...pods }) => pods) };
  };
  const nodes = kubernetes.all.map(() => CLEAN);
  await eventually(look, { pods: [], addresses: [], marks: [], nodes }, patienceMs);
}

/** Waits until so many addresses are held: pods that are gone for the API may still be ending on their nodes. */
export const untilTaken = (kubernetes: Kubernetes, count: number): Promise<void> =>
  eventually(async () => (await taken(kubernetes)).length, count, PATIENCE_MS);

/** A kubelet looks once a minute for sandboxes whose pods it has never heard of. */
export const KUBELET_GC_MS = 240_000;

/** Does something after which all is as it was. */
export async function leavesNothing(
  kubernetes: Kubernetes,
  work: () => Promise<void>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const before = await everything(kubernetes);
  expect(before).toMatchObject({ pods: [], addresses: [], marks: [], nodes: kubernetes.all.map(() => CLEAN) });
  await work();
  await eventually(() => everything(kubernetes), before, patienceMs);
}
