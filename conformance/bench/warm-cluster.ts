/** What reserving an address of a cluster costs our own process, the server's work left out. It imports the sources. */
import { ClusterNode } from '../../plugins/whereabouts/testing/cluster-node.ts';
import type { Subject } from './subjects.ts';

/** Milliseconds of processor time of one ADD and one DEL, in a process that has made others before. */
export function ownWork(kubeconfig: string, range: string): Subject & { close(): void } {
  const node = new ClusterNode(kubeconfig);
  let pods = 0;
  const work = async () => {
    const who = [`bench/own-${pods} net0 own-${pods++}`];
    const add = await processorTime(() => node.add(who, range));
    const del = await processorTime(() => node.del(who, range));
    return { add, del };
  };
  return Object.assign(work, { close: () => node[Symbol.dispose]() });
}

async function processorTime(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
