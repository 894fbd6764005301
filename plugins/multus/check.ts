import type { NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { combineErrors, messageOf, withPrefix } from '../../lib/cni/errors.ts';
import { checkNetwork, statusNetwork } from '../../lib/cni/network.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { isShortage } from '../../lib/sys/io-error.ts';
import { attachmentsOf, sharedRuntime } from './attachments.ts';
import type { MultusConf } from './config.ts';
import { type Log, withCallLog } from './log.ts';
import { loadNetworks, prefixErrors } from './networks.ts';
import { cniDirOf } from './places.ts';
import { podLabel, podOf } from './runtime-args.ts';
import { readStored } from './scratch.ts';
import type { StoredDelegate } from './scratch-form.ts';

/** Checks every network that the pod was attached to, or would be if that is not known, and reports all failures. */
export const check = (call: PodCall<MultusConf>, scope: Scope): Promise<void> =>
  withCallLog(call.conf, scope.log, async (log) => {
    const pod = prefixErrors('Multus: error getting k8s args', () => podOf(call.args));
    const loading = { call, scope, log, prefix: `Multus: [${podLabel(pod)}]`, notReady: undefined };
    const delegates = attached(call, log) ?? (await loadNetworks(loading, pod.namespace));
    const shared = sharedRuntime(call, call.conf);
    const errors: unknown[] = [];
    for (const { name, list, runtime } of attachmentsOf(delegates, shared, {
      pod,
      cniArgs: call.args,
      supplied: call.conf.runtimeConfig,
    })) {
      log.verbose(() => {
        const where = `${pod.namespace}:${pod.name}:${name}(${list.name}):${runtime.ifName}`;
        return `Check: ${where} ${list.bytes.toString('utf8')}`;
      });
      try {
        await checkNetwork(scope, list, runtime);
      } catch (error) {
        const what = `error checking container in network ${JSON.stringify(list.name)}`;
        errors.push(withPrefix(`[${podLabel(pod)}:${list.name}]: ${what}`, error));
      }
    }
    const failure = combineErrors(errors, ' / ');
    if (failure !== undefined) {
      throw failure;
    }
  });

/** Can the pod's own network be served? The others do not keep a node from being ready. */
export const status = (call: NetworkCall<MultusConf>, scope: Scope): Promise<void> =>
  withCallLog(call.conf, scope.log, async (log) => {
    const loading = { call, scope, log, prefix: 'Multus', notReady: 'notAvailable' as const };
    const [first] = await loadNetworks(loading, '');
    if (first !== undefined) {
      await statusNetwork(scope, first.list, sharedRuntime(call, call.conf));
    }
  });

function attached(call: PodCall<MultusConf>, log: Log): readonly StoredDelegate[] | undefined {
  try {
    return readStored(cniDirOf(call.conf), call.containerId, call.version)?.delegates;
  } catch (error) {
    if (isShortage(error)) {
      throw error;
    }
    log.error(messageOf(error));
    return undefined;
  }
}
