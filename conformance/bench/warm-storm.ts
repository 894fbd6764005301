/** Many pods at once in one range of a cluster, in processes that are there already: what agents do. It imports the sources. */
import { Joiner } from '../../lib/sys/joiner.ts';
import { ClusterNode } from '../../plugins/whereabouts/testing/cluster-node.ts';
import type { Sample, Subject } from './subjects.ts';

/** As many as the store of a node serves together. */
const MOST_STEPS = 256;

export interface Crowd {
  readonly nodes: number;
  readonly pods: number;
  readonly networks: number;
}

/** All pods start at the same moment, and then all of them end. Nodes share this process, and nothing else. */
export function warmStorm(
  kubeconfig: string,
  newRange: () => string,
  expectHeld: (range: string, wanted: number) => Promise<void>,
  { nodes, pods, networks }: Crowd,
): Subject & { close(): void } {
  const all = Array.from({ length: nodes }, () => new ClusterNode(kubeconfig));
  let rounds = 0;
  const storm = async (): Promise<Sample> => {
    const [range, round] = [newRange(), rounds++];
    const who = Array.from({ length: pods }, (_, pod) =>
      Array.from({ length: networks }, (__, index) => `bench/warm-${round}-${pod} net${index} warm-${round}-${pod}`),
    );
    const add = await timed(all, who, (node, some) => node.add(some, range));
    await expectHeld(range, pods * networks);
    const del = await timed(all, who, (node, some) => node.del(some, range));
    await expectHeld(range, 0);
    const per = (requests: number): number => Number((requests / (pods * networks)).toFixed(2));
    return { add: add.ms, del: del.ms, addRequests: per(add.requests), delRequests: per(del.requests) };
  };
  const close = (): void => {
    for (const node of all) {
      node[Symbol.dispose]();
    }
  };
  return Object.assign(storm, { close });
}

async function timed(
  nodes: readonly ClusterNode[],
  pods: readonly (readonly string[])[],
  work: (node: ClusterNode, who: readonly string[]) => Promise<unknown>,
): Promise<{ readonly ms: number; readonly requests: number }> {
  const before = nodes.map(({ requests }) => requests.length);
  const begin = performance.now();
  const joiners = nodes.map(
    (node) =>
      new Joiner<string, void>(async (who) => {
        await work(node, who);
        return who.map(() => ({ status: 'fulfilled', value: undefined }) as const);
      }, MOST_STEPS),
  );
  await Promise.all(pods.flatMap((who, pod) => who.map((one) => joiners[pod % nodes.length]?.join(one))));
  const requests = nodes.reduce((sum, node, index) => sum + node.requests.length - (before[index] ?? 0), 0);
  return { ms: performance.now() - begin, requests };
}
