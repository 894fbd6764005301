/** All that pods may leave: in the cluster's pools, on the nodes' disks, in the kernel. */
import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import { comparable, filesIn, stateOf } from '../lab/state.ts';
import type { Kubernetes } from './kubernetes.ts';
import type { Node } from './node.ts';
import { allPods } from './pods.ts';
import { reserved, taken } from './pools.ts';

/** Stores of whereabouts stay, and are looked at by what they hold. */
const isLasting = (name: string): boolean => name.startsWith('whereabouts/') || name.endsWith('/');

async function onNode(node: Node) {
  const { links, addresses, routes } = comparable(await stateOf(node.netns));
  const files = Object.keys(filesIn(node.pathHere('/var/lib/cni')));
  const sandboxes = await node.cri.sandboxes(); // those that have ended are removed a minute later
  return {
    network: { links, addresses, routes },
    files: files.filter((name) => !isLasting(name)),
    namespaces: readdirSync(node.pathHere('/run/netns')),
    sandboxes: sandboxes.filter(({ isReady }) => isReady).map(({ pod }) => pod),
  };
}

export async function everything(kubernetes: Kubernetes) {
  const [pods, addresses, marks, ...nodes] = await Promise.all([
    allPods(kubernetes),
    taken(kubernetes),
    reserved(kubernetes),
    ...kubernetes.nodes.map(onNode),
  ]);
  return { pods: pods.map(({ metadata }) => metadata.name), addresses, marks, nodes };
}

/** A kubelet looks once a minute for sandboxes whose pods it has never heard of. */
export const KUBELET_GC_MS = 120_000;

/** Does something after which all is as it was. */
export async function leavesNothing(
  kubernetes: Kubernetes,
  work: () => Promise<void>,
  patienceMs?: number,
): Promise<void> {
  const before = await everything(kubernetes);
  const clean = kubernetes.nodes.map(() => ({ files: [], namespaces: [], sandboxes: [] }));
  expect(before).toMatchObject({ pods: [], addresses: [], marks: [], nodes: clean });
  await work();
  await eventually(() => everything(kubernetes), before, patienceMs);
}
