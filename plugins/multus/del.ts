import { existsSync } from 'node:fs';
import type { AttachmentCall, DeletionCall } from '../../lib/cni/call.ts';
import { readConf } from '../../lib/cni/config.ts';
import { combineErrors, messageOf, withPrefix } from '../../lib/cni/errors.ts';
import { type JsonObject, lookUp } from '../../lib/cni/json.ts';
import { readCached } from '../../lib/cni/result-cache.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { lockForRelease, removeStaleLocks } from '../../lib/sys/lock.ts';
import { type Attachment, detachAll, inNetns, type Remaining, sharedRuntime } from './attachments.ts';
import { CommonConf, MultusConf, RuntimeConfigConf } from './config.ts';
import { lockContainer } from './container-lock.ts';
import type { Delegate } from './delegates.ts';
import { type Log, withCallLog } from './log.ts';
import { loadNetworks } from './networks.ts';
import { cniDirOf, RUNTIME_CACHE } from './places.ts';
import { openPod } from './pod-record.ts';
import { readinessFault } from './readiness.ts';
import { recallAll } from './recall.ts';
import { logLabel, NO_POD, type Pod, podOf } from './runtime-args.ts';
import { removeScratch } from './scratch.ts';

/**
 * Deletes what was attached, as the records remember it: neither the configuration's delegates nor Kubernetes are needed
 * where these tell. Goes on after a failure and reports all of them. What was not deleted, or may not have been, stays
 * recorded.
 */
export async function del(call: DeletionCall, scope: Scope): Promise<void> {
  const common = readConf(CommonConf, call.document);
  await withCallLog(common, scope.log, async (log) => {
    const fault = readinessFault(common.readinessindicatorfile);
    if (fault !== undefined) {
      log.verbose(() => `warning: ${fault}`);
    }
    const cniDir = cniDirOf(common);
    using _lock = existsSync(cniDir)
      ? await lockForRelease(scope.log, () => lockContainer(scope, cniDir, call.containerId))
      : undefined;
    const pod = orElse(NO_POD, () => podOf(call.args), log);
    const supplied = orElse(undefined, () => suppliedBy(call.document), log);
    const recalled = await recallAll({
      shared: sharedRuntime(call, common),
      pod: { pod, cniArgs: call.args, supplied },
      cniVersion: call.version,
      log,
      runtimeCache: RUNTIME_CACHE,
      configured: () => configuredNetworks(call, scope, log),
    });
    const { pod: record, doubts } = recalled;
    using netns = record && (await openPod(scope, record, call.netnsPath ?? ''));
    const attachments = record ? inNetns(recalled.attachments, netns?.path ?? '') : recalled.attachments;
    logAttachments(call, pod, attachments, log);
    const failed = await detachAll(scope, attachments);
    const errors = [...failed.map(({ error }) => error), ...doubts];
    if (doubts.length === 0 && !failed.some(isForgotten) && !(common.retryDeleteOnError && isWorthRetrying(errors))) {
      try {
        removeScratch(cniDir, call.containerId);
      } catch (error) {
        errors.push(error);
      }
    }
    removeStaleLocks(scope, cniDir);
    const failure = combineErrors(errors, ' / ');
    if (failure !== undefined) {
      throw withPrefix('errors', failure);
    }
  });
}

function logAttachments(call: AttachmentCall<unknown>, pod: Pod, attachments: readonly Attachment[], log: Log): void {
  if (attachments.length === 0) {
    log.verbose(() => `nothing is known to be attached for container ${call.containerId}`);
  }
  for (const { list, runtime } of attachments) {
    const where = `${logLabel(pod)}:${list.name}:${runtime.ifName}`;
    log.verbose(() => `Del: ${where} ${list.bytes.toString('utf8')}`);
  }
}

/** Would nothing but the scratch file remember it for the next DEL? */
function isForgotten({ attachment: { list, runtime } }: Remaining): boolean {
  const { cacheDir, containerId, ifName } = runtime;
  try {
    return readCached(cacheDir, { network: list.name, containerId, ifName }) === undefined;
  } catch {
    return true;
  }
}

async function configuredNetworks(call: DeletionCall, scope: Scope, log: Log): Promise<readonly Delegate[]> {
  const conf = readConf(MultusConf, call.document);
  return loadNetworks({ call: { ...call, conf }, scope, log, prefix: 'Multus', notReady: undefined }, '');
}

const suppliedBy = (document: JsonObject): RuntimeConfigConf =>
  readConf(RuntimeConfigConf, lookUp(document, 'runtimeConfig') ?? {}, 'runtimeConfig');

/** A namespace that is gone will not come back: another try would fail likewise. */
const isWorthRetrying = (errors: readonly unknown[]): boolean =>
  errors.length > 0 && !errors.some((error) => messageOf(error).includes('no such file or directory'));

function orElse<T>(fallback: T, work: () => T, log: Log): T {
  try {
    return work();
  } catch (error) {
    log.error(messageOf(error));
    return fallback;
  }
}
