import { sandboxesOf } from '../../../lib/cli/cri.ts';
import { WrongUsage } from '../../../lib/cli/options.ts';
import { messageOf } from '../../../lib/cni/errors.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { OpenService, ServiceHost } from '../../../lib/cni/service.ts';
import { eventRecorder } from '../../../lib/controller/events.ts';
import { repeat } from '../../../lib/controller/repeat.ts';
import { readKubeconfig } from '../../../lib/kube/kubeconfig.ts';
import { openWatchClient } from '../../../lib/kube/watch.ts';
import { makeMetrics } from '../../../lib/observe/metrics.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { KUBECONFIG, NODE } from '../agent-service.ts';
import { nodeNameOf } from '../cluster/node-name.ts';
import { isObjectName } from '../place.ts';
import { readJournals } from '../survey/node-journals.ts';
import { allDataDirs } from '../views.ts';
import type { Running } from './pod-freeing.ts';
import { followPods, type PodLoopOptions } from './pods.ts';

const NAMESPACE = 'kube-system';
/** Each watch has one to itself. */
const CONNECTIONS = 4;
/** A page of pools takes its time. */
const TIMEOUT_MS = 30_000;

export interface OwnPods {
  readonly kubeconfig: string;
  /** of this node, in the cluster */
  readonly node: string;
  /** the container runtime, as `braid agent` is told */
  readonly cri?: string;
  /** folders of stores; default: the usual one */
  readonly dataDirs?: readonly string[];
  readonly times?: Pick<PodLoopOptions, 'settleMs' | 'missedMs'>;
}

/**
 * What the options of the agent ask for.
 *
 * @throws WrongUsage; CniError when nothing says the name of the node
 */
export function openOwnPods({ options, env, scope }: Pick<ServiceHost, 'options' | 'env' | 'scope'>): OpenService {
  const { [KUBECONFIG]: kubeconfig, [NODE]: named } = options;
  if (typeof kubeconfig !== 'string') {
    throw new WrongUsage(`option "--${NODE}" needs "--${KUBECONFIG}"`);
  }
  if (typeof named === 'string' && !isObjectName(named)) {
    throw new WrongUsage(`cannot use --${NODE} "${named}": it is not a lower case RFC 1123 name`);
  }
  const node = typeof named === 'string' ? named : nodeNameOf({ env: env['NODENAME'] ?? '', folder: '' });
  const cri = typeof options['cri'] === 'string' ? options['cri'] : '';
  return { keep: (signal) => followOwnPods({ kubeconfig, node, cri }, scope, signal) };
}

/**
 * Frees the addresses of this node's deleted pods until the signal fires: those that it sees going, and those of which the
 * node's journal knows that they had some, if they went before. Other nodes' pods are none of its business. What a sandbox
 * has that the container runtime knows is kept: the pod of that may be deleted and run. Never rejects.
 */
export async function followOwnPods(own: OwnPods, scope: Scope, signal: AbortSignal): Promise<void> {
  const { kubeconfig, node, cri = '', dataDirs = allDataDirs([]), times = {} } = own;
  const log = (line: string): void => scope.log(`pods of node "${node}": ${line}`);
  const holders = async (): Promise<Iterable<string>> =>
    (await readJournals(scope, dataDirs)).flatMap(({ rows }) => rows.map(({ podref }) => podref));
  const running = runningBy(() => sandboxesOf(cri));
  await repeat({ ...clockOf(signal), signal, log }, 'cannot free what deleted pods had', async () => {
    using client = await openWatchClient(() => readKubeconfig(kubeconfig), {
      namespace: NAMESPACE,
      connections: CONNECTIONS,
      timeoutMs: TIMEOUT_MS,
    });
    const ending = new AbortController(); // what a loop that failed has left running ends before it is run again
    const either = AbortSignal.any([signal, ending.signal]);
    const api = client.api(either);
    try {
      await followPods(
        {
          ...{ api, signal: either, events: eventRecorder(api, node, log), metrics: makeMetrics(), options: {}, log },
          ...clockOf(either),
        },
        { ...times, own: { node, holders, running } },
      );
    } finally {
      ending.abort(new Error('the loop has ended'));
    }
    return 0;
  });
}

/** Whoever has had a runtime and has none now knows nothing; without one, pods are gone as the cluster says. */
function runningBy(sandboxes: () => Promise<ReadonlySet<string> | undefined>): () => Promise<Running> {
  let hasHad = false;
  return async () => {
    try {
      const ids = await sandboxes();
      hasHad ||= ids !== undefined;
      if (ids === undefined && hasHad) {
        return () => 'the container runtime is away';
      }
      return (id) => (ids?.has(id) ? `the container runtime still has sandbox ${id}` : undefined);
    } catch (error) {
      return () => `cannot ask the container runtime: ${messageOf(error)}`;
    }
  };
}
