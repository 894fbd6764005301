import type { PodCall } from '../../lib/cni/call.ts';
import type { Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { attach } from './attach.ts';
import type { MultusConf } from './config.ts';
import { withCallLog } from './log.ts';
import { type Loading, openCluster, plannedNetworks, prefixErrors, readyNetworks } from './networks.ts';
import { logLabel, podOf, prefixOf } from './runtime-args.ts';
import { refuseUnscratchable } from './scratch.ts';

/**
 * Attaches a pod to all its networks, in order. When one fails, all that was started is deleted again, the failed one
 * included; if that does not succeed, the scratch file stays, for the DEL that the runtime sends.
 */
export const add = (call: PodCall<MultusConf>, scope: Scope): Promise<Result> =>
  withCallLog(call.conf, scope.log, async (log) => {
    refuseUnscratchable(call.containerId);
    const pod = prefixErrors('Multus: error getting k8s args', () => podOf(call.args));
    const loading: Loading = { call, scope, log, prefix: prefixOf(pod), notReady: 'tryAgainLater' };
    const configured = await readyNetworks(loading);
    const cluster = pod.name === '' ? undefined : await openCluster(loading);
    if (cluster === undefined) {
      return attach({ call, scope, log, pod }, await plannedNetworks(loading, configured, pod.namespace));
    }
    const { PodInCluster } = await import('./cluster/pod-in-cluster.ts');
    await using inCluster = await PodInCluster.find(loading, cluster, pod);
    if (inCluster === undefined) {
      log.verbose(() => `${logLabel(pod)} is not in the cluster any more: nothing is attached`);
      return nothingAttached(call);
    }
    const delegates = await inCluster.networks(configured);
    return await attach({ call, scope, log, pod, tell: (networks) => inCluster.tell(networks) }, delegates);
  });

/** What a runtime gets for a pod that is about to be torn down: a result must have an interface and an address. */
const nothingAttached = ({ ifName, netnsPath }: PodCall<unknown>): Result => ({
  interfaces: [{ name: ifName, sandbox: netnsPath }],
  ips: [{ address: '0.0.0.0/0', gateway: '0.0.0.0' }],
  routes: [],
  dns: {},
});
