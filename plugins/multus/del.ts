import { readConf } from '../../lib/cni/config.ts';
import { combined, messageOf, within } from '../../lib/cni/errors.ts';
import { type JsonObject, lookUp } from '../../lib/cni/json.ts';
import type { RuntimeConf } from '../../lib/cni/network.ts';
import type { Call, Host } from '../../lib/cni/plugin.ts';
import { listCached } from '../../lib/cni/result-cache.ts';
import { type Attachment, attachmentsOf, detachAll, sharedRuntime } from './attachments.ts';
import { CommonConf, cniDirOf, MultusConf, RuntimeConfigConf } from './config.ts';
import { type Log, logged } from './log.ts';
import { loadNetworks } from './networks.ts';
import { readinessFault } from './readiness.ts';
import { recallAttachments, withOthers } from './recall.ts';
import { logLabel, NO_POD, type Pod, podOf } from './runtime-args.ts';
import { parseScratch, readScratch, removeScratch } from './scratch.ts';

/**
 * Deletes what was attached, as the scratch file or else the result cache remembers it: neither the configuration's
 * delegates nor Kubernetes are needed. Goes on after a failure and reports all of them.
 */
export async function del(call: Call<JsonObject>, host: Host): Promise<void> {
  const common = readConf(CommonConf, call.document);
  await logged(common, host.log, async (log) => {
    const fault = readinessFault(common.readinessindicatorfile);
    if (fault !== undefined) {
      log.verbose(() => `warning: ${fault}`);
    }
    const pod = orElse(NO_POD, () => podOf(call.args), log);
    const shared = sharedRuntime(call, common);
    const { attachments, hasScratch } = await remember(call, host, { pod, shared, log });
    for (const { list, runtime } of attachments) {
      const where = `${logLabel(pod)}:${list.name}:${runtime.ifName}`;
      log.verbose(() => `Del: ${where} ${list.bytes.toString('utf8')}`);
    }
    const errors = [...(await detachAll(host, attachments))];
    if (!(hasScratch && common.retryDeleteOnError && isWorthRetrying(errors))) {
      try {
        removeScratch(cniDirOf(common), call.containerId);
      } catch (error) {
        errors.push(error);
      }
    }
    const failure = combined(errors, ' / ');
    if (failure !== undefined) {
      throw within('errors', failure);
    }
  });
}

interface Recollecting {
  readonly pod: Pod;
  readonly shared: RuntimeConf;
  readonly log: Log;
}

interface Remembered {
  readonly attachments: readonly Attachment[];
  readonly hasScratch: boolean;
}

async function remember(call: Call<JsonObject>, host: Host, recollecting: Recollecting): Promise<Remembered> {
  const { pod, shared, log } = recollecting;
  const supplied = orElse(undefined, () => suppliedBy(call.document), log);
  const asNow = { pod, cniArgs: call.args, supplied };
  try {
    const scratch = readScratch(shared.cacheDir, call.containerId);
    if (scratch !== undefined) {
      return { attachments: attachmentsOf(parseScratch(scratch, call.version), shared, asNow), hasScratch: true };
    }
  } catch (error) {
    log.error(`${messageOf(error)}: using the result cache and the configured delegates instead`);
    const configured = attachmentsOf(await configuredNetworks(call, host, log), shared, asNow);
    return { attachments: withOthers(fromCache(call, recollecting), configured), hasScratch: true };
  }
  const attachments = fromCache(call, recollecting);
  if (attachments.length === 0) {
    log.verbose(() => `nothing is known to be attached for container ${call.containerId}`);
  }
  return { attachments, hasScratch: false };
}

function fromCache(call: Call<JsonObject>, { shared, log }: Recollecting): readonly Attachment[] {
  const { attachments, faults } = listCached(shared.cacheDir, call.containerId);
  for (const fault of faults) {
    log.error(fault);
  }
  return recallAttachments(attachments, shared, call.version, log);
}

/** When the file that says what was attached is lost, what would be attached today is the best guess. */
async function configuredNetworks(call: Call<JsonObject>, host: Host, log: Log) {
  try {
    const configured = { ...call, conf: readConf(MultusConf, call.document) };
    return await loadNetworks(configured, host, log, { namespace: '', prefix: 'Multus', notReady: undefined });
  } catch (error) {
    log.error(messageOf(error));
    return [];
  }
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
