import type { PodCall } from '../../lib/cni/call.ts';
import { CniError, combineErrors, messageOf, withPrefix } from '../../lib/cni/errors.ts';
import type { Added } from '../../lib/cni/network.ts';
import { formatResult, type Result } from '../../lib/cni/result.ts';
import { type Scope, scopeWith } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { listLinkNames } from '../../lib/link/observe.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { adding, attacher, foreseeAll } from './attacher.ts';
import { type Attachment, attachAll, attachmentsOf, detachAll, isFilled, sharedRuntime } from './attachments.ts';
import type { ToldNetwork } from './cluster/pod-in-cluster.ts';
import type { MultusConf } from './config.ts';
import { lockContainer } from './container-lock.ts';
import { applyDefaultRoutes, type DefaultRoutes, planDefaultRoutes } from './default-route.ts';
import { recordDefaultRoutes } from './default-route-record.ts';
import type { Delegate } from './delegates.ts';
import { deviceInfoFileOf } from './device-info.ts';
import type { Log } from './log.ts';
import { prefixErrors, prefixRejection } from './networks.ts';
import { cniDirOf } from './places.ts';
import { podRecordOf } from './pod-record.ts';
import { type Pod, prefixOf } from './runtime-args.ts';
import { restoreScratch, scratchesIn } from './scratch.ts';
import { formatScratch } from './scratch-form.ts';

/** The call of a pod that is attached. */
export interface Attaching {
  readonly call: PodCall<MultusConf>;
  readonly scope: Scope;
  readonly log: Log;
  readonly pod: Pod;
  /** tells the cluster of what was attached */
  readonly tell?: (networks: readonly ToldNetwork[]) => Promise<void>;
}

/**
 * Attaches a pod to its networks; on failure takes back all that was started.
 *
 * @returns the result of the first network
 * @throws CniError
 */
export async function attach(attaching: Attaching, delegates: readonly Delegate[]): Promise<Result> {
  const { call, scope, log, pod } = attaching;
  const prefix = prefixOf(pod);
  const attachments = attachmentsOf(delegates, sharedRuntime(call, call.conf), {
    pod,
    cniArgs: call.args,
    supplied: call.conf.runtimeConfig,
    isAdd: true,
  });
  if (!isFilled(attachments)) {
    throw new CniError('internal', `${prefix}: no delegates`);
  }
  const [first] = attachments;
  const routes = prefixErrors(prefix, () => planDefaultRoutes(delegates.map(({ requests }) => requests.defaultRoute)));
  using netns = await adding(pod, first, () => scope.node.openNetns(call.netnsPath));
  const cniDir = cniDirOf(call.conf);
  const saved = `${prefix}: error saving the delegates`;
  const unsaved = (error: unknown): never => {
    throw withPrefix(saved, error);
  };
  using _lock = await lockContainer(scope, cniDir, call.containerId).catch(unsaved);
  const names = new Set(await adding(pod, first, () => listLinkNames(netns.netlink)));
  await using undo = new Undo(scope);
  const started: Attachment[] = [];
  const scratches = scratchesIn(cniDir);
  const before = prefixErrors(saved, () => scratches.read(call.containerId));
  const scratch = prefixErrors(saved, () => formatScratch(delegates, podRecordOf(call, scope, netns), routes));
  await using unplaced = prefixErrors(saved, () => scratches.begin(scope.node.disk, call.containerId, scratch));
  await scope.span('foresight', () => foreseeAll({ scope, pod, netns, names }, attachments)); // while the disk is at work
  // before the file is in its place, which may fail when it is there already
  undo.push('delete what was attached', (unending) =>
    takeBack(unending, started, () => restoreScratch(cniDir, call.containerId, before)),
  );
  const { durable } = await scope.span('scratch file', () => unplaced.place()).catch(unsaved);
  const recording = recordingAfter(scope, durable);
  const infos = attachments.some(hasDeviceInfo) ? await import('./devices/info-files.ts') : undefined;
  const added = await attachAll(recording, attachments, attacher({ pod, netns, started, log, infos }));
  await durable.catch(unsaved);
  const [{ result }] = added;
  await adding(pod, first, () => formatResult(result, call.version)); // what cannot be printed has failed, while we can take it back
  if (routes !== undefined) {
    await prefixRejection(prefix, () => routeAll(netns, attachments, added, routes));
  }
  await attaching.tell?.(
    attachments.map((attachment, index) => ({
      attachment,
      added: added[index] ?? added[0],
      deviceInfo: infos?.readDeviceInfo(attachment.runtime.capabilityArgs, log),
    })),
  );
  undo.commit();
  return result;
}

const hasDeviceInfo = ({ runtime }: Attachment): boolean => deviceInfoFileOf(runtime.capabilityArgs) !== undefined;

/** Leaves the pod with the default routes that it asks for, and its records too. */
async function routeAll(
  netns: Netns,
  attachments: readonly Attachment[],
  added: readonly Added[],
  routes: readonly DefaultRoutes[],
): Promise<void> {
  const networks = attachments.flatMap(({ list, runtime }, index) => {
    const [result, own] = [added[index]?.result, routes[index]];
    return result === undefined || own === undefined ? [] : [{ list, runtime, result, routes: own }];
  });
  await applyDefaultRoutes(
    netns,
    networks.map(({ runtime: { ifName }, result, routes: own }) => ({ ifName, result, routes: own })),
  );
  for (const { list, runtime, routes: own } of networks) {
    const { cacheDir, containerId, ifName } = runtime;
    recordDefaultRoutes(cacheDir, { network: list.name, containerId, ifName }, own);
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
