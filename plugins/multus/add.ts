import type { PodCall } from '../../lib/cni/call.ts';
import { CniError, combineErrors, messageOf, withPrefix } from '../../lib/cni/errors.ts';
import { compact, sorted } from '../../lib/cni/json.ts';
import { type Added, addNetwork, foreseeNetwork } from '../../lib/cni/network.ts';
import { formatResult, type Result } from '../../lib/cni/result.ts';
import { type Scope, scopeWith } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { listLinkNames } from '../../lib/link/observe.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import {
  type Attacher,
  type Attachment,
  attachAll,
  attachmentsOf,
  detachAll,
  isFilled,
  sharedRuntime,
} from './attachments.ts';
import type { MultusConf } from './config.ts';
import { lockContainer } from './container-lock.ts';
import type { Delegate } from './delegates.ts';
import { type Log, withCallLog } from './log.ts';
import { type Loading, loadNetworks, openCluster, prefixErrors, prefixRejection, readyNetworks } from './networks.ts';
import { cniDirOf } from './places.ts';
import { podRecordOf } from './pod-record.ts';
import { logLabel, type Pod, podLabel, podOf } from './runtime-args.ts';
import { refuseUnscratchable, restoreScratch, scratchesIn } from './scratch.ts';
import { formatScratch } from './scratch-form.ts';

/**
 * Attaches a pod to all its networks, in order. When one fails, all that was started is deleted again, the failed one
 * included; if that does not succeed, the scratch file stays, for the DEL that the runtime sends.
 */
export const add = (call: PodCall<MultusConf>, scope: Scope): Promise<Result> =>
  withCallLog(call.conf, scope.log, async (log) => {
    refuseUnscratchable(call.containerId);
    const pod = prefixErrors('Multus: error getting k8s args', () => podOf(call.args));
    const prefix = `Multus: [${podLabel(pod)}]`;
    const loading: Loading = { call, scope, log, prefix, notReady: 'tryAgainLater' };
    const delegates = await delegatesOf(loading, pod);
    if (delegates === undefined) {
      log.verbose(() => `${logLabel(pod)} is not in the cluster any more: nothing is attached`);
      return nothingAttached(call);
    }
    const attachments = attachmentsOf(delegates, sharedRuntime(call, call.conf), {
      pod,
      cniArgs: call.args,
      supplied: call.conf.runtimeConfig,
    });
    if (!isFilled(attachments)) {
      throw new CniError('internal', `${prefix}: no delegates`);
    }
    const [first] = attachments;
    using netns = await adding(pod, first, () => scope.node.openNetns(call.netnsPath));
    const cniDir = cniDirOf(call.conf);
    const saved = `${prefix}: error saving the delegates`;
    const unsaved = (error: unknown): never => {
      throw withPrefix(saved, error);
    };
    using _lock = await lockContainer(scope, cniDir, call.containerId).catch(unsaved);
    const names = new Set(await adding(pod, first, () => listLinkNames(netns.netlink)));
    await scope.span('foresight', () => foreseeAll({ scope, pod, netns, names }, attachments));
    await using undo = new Undo(scope);
    const started: Attachment[] = [];
    const scratches = scratchesIn(cniDir);
    const before = prefixErrors(saved, () => scratches.read(call.containerId));
    // before the write, which may fail when the file is there already
    undo.push('delete what was attached', (unending) =>
      takeBack(unending, started, () => restoreScratch(cniDir, call.containerId, before)),
    );
    const scratch = prefixErrors(saved, () => formatScratch(delegates, podRecordOf(call, scope, netns)));
    const { durable } = await scope
      .span('scratch file', () => scratches.place(scope.node.disk, call.containerId, scratch))
      .catch(unsaved);
    const recording = recordingAfter(scope, durable);
    const [{ result }] = await attachAll(recording, attachments, attacher({ pod, netns, started, log }));
    await durable.catch(unsaved);
    await adding(pod, first, () => formatResult(result, call.version)); // what cannot be printed has failed, while we can take it back
    undo.commit();
    return result;
  });

/** @returns undefined when the pod was deleted meanwhile */
async function delegatesOf(loading: Loading, pod: Pod): Promise<readonly Delegate[] | undefined> {
  const cluster = pod.name === '' ? undefined : await openCluster(loading);
  if (cluster === undefined) {
    return loadNetworks(loading, pod.namespace);
  }
  const configured = await readyNetworks(loading);
  const object = await prefixRejection(loading.prefix, () => cluster.findPod(pod));
  const { podNetworks } = await import('./cluster/pod-networks.ts');
  return object && podNetworks(loading, configured, cluster, object);
}

/** What a runtime gets for a pod that is about to be torn down: a result must have an interface and an address. */
const nothingAttached = ({ ifName, netnsPath }: PodCall<unknown>): Result => ({
  interfaces: [{ name: ifName, sandbox: netnsPath }],
  ips: [{ address: '0.0.0.0/0', gateway: '0.0.0.0' }],
  routes: [],
  dns: {},
});

/**
 * The same scope, in which nothing is recorded and nothing executed before the scratch file is on the disk: what it
 * tells DEL must not be missing where a store holds addresses of the pod. Links may be made, no power cut leaves them.
 */
const recordingAfter = (scope: Scope, durable: Promise<void>): Scope =>
  scopeWith(scope, (own) => ({
    join: async (joiner, item) => {
      await durable;
      return own.join(joiner, item);
    },
    execute: async (execution) => {
      await durable;
      return own.execute(execution);
    },
  }));

interface Foreseeing {
  readonly scope: Scope;
  readonly pod: Pod;
  readonly netns: Netns;
  /** of the links in the pod */
  readonly names: ReadonlySet<string>;
}

/** Refuses what can be known to fail, for all networks before the first one is attached. */
async function foreseeAll({ scope, pod, netns, names }: Foreseeing, attachments: readonly Attachment[]): Promise<void> {
  const promised = new Map<string, string>();
  for (const attachment of attachments) {
    const { list, runtime } = attachment;
    await adding(pod, attachment, async () => {
      await foreseeNetwork(scope, list, runtime);
      refuseTaken(names.has(runtime.ifName), netns, attachment);
      refusePromised(promised.get(runtime.ifName), attachment);
    });
    promised.set(runtime.ifName, list.name);
  }
}

interface Attaching {
  readonly pod: Pod;
  readonly netns: Netns;
  readonly started: Attachment[];
  readonly log: Log;
}

function attacher(attaching: Attaching): Attacher<Added> {
  const { pod, netns } = attaching;
  return {
    // plugins of this build make the links that were foreseen, any other may have made one more
    lookAgain: async (attachments) => {
      let names: ReadonlySet<string> | undefined;
      for (const attachment of attachments) {
        await adding(pod, attachment, async () => {
          names ??= new Set(await listLinkNames(netns.netlink));
          refuseTaken(names.has(attachment.runtime.ifName), netns, attachment);
        });
      }
    },
    attach: attachOne(attaching),
  };
}

function attachOne({ pod, started, log }: Attaching): Attacher<Added>['attach'] {
  return async (scope, attachment) => {
    const { name, list, runtime } = attachment;
    started.push(attachment);
    let added: Added;
    try {
      added = await addNetwork(scope, list, runtime);
    } catch (error) {
      throw addingFailed(pod, attachment, error);
    }
    log.verbose(() => {
      const where = `${logLabel(pod)}:${name}(${list.name}):${runtime.ifName}`;
      return `Add: ${where} ${compact(sorted(added.raw))}`;
    });
    return added;
  };
}

function refuseTaken(isTaken: boolean, netns: Netns, { runtime }: Attachment): void {
  if (isTaken) {
    throw new CniError('internal', `cannot add interface "${runtime.ifName}": it already exists in "${netns.path}"`);
  }
}

function refusePromised(network: string | undefined, { runtime }: Attachment): void {
  if (network !== undefined) {
    throw new CniError(
      'internal',
      `cannot add interface "${runtime.ifName}": network "${network}" of this pod has that name`,
    );
  }
}

async function takeBack(scope: Scope, started: readonly Attachment[], restore: () => void): Promise<void> {
  const failure = combineErrors(
    (await detachAll(scope, started)).map(({ error }) => error),
    ' / ',
  );
  if (failure !== undefined) {
    throw new CniError(failure.code, `${messageOf(failure)}; the scratch file is kept for DEL`);
  }
  restore();
}

async function adding<T>(pod: Pod, attachment: Attachment, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw addingFailed(pod, attachment, error);
  }
}

const addingFailed = (pod: Pod, { list }: Attachment, error: unknown): CniError =>
  withPrefix(`[${podLabel(pod)}:${list.name}]: error adding container to network ${JSON.stringify(list.name)}`, error);
