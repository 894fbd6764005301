import { CniError, withPrefix } from '../../lib/cni/errors.ts';
import { compact, sorted } from '../../lib/cni/json.ts';
import { type Added, addNetwork, foreseeNetwork } from '../../lib/cni/network.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { listLinkNames } from '../../lib/link/observe.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import type { Attacher, Attachment } from './attachments.ts';
import type { Log } from './log.ts';
import { logLabel, type Pod, podLabel } from './runtime-args.ts';

interface Foreseeing {
  readonly scope: Scope;
  readonly pod: Pod;
  readonly netns: Netns;
  /** of the links in the pod */
  readonly names: ReadonlySet<string>;
}

/** Refuses what can be known to fail, for all networks before the first one is attached. */
export async function foreseeAll(
  { scope, pod, netns, names }: Foreseeing,
  attachments: readonly Attachment[],
): Promise<void> {
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

interface AttachingOne {
  readonly pod: Pod;
  readonly netns: Netns;
  readonly started: Attachment[];
  readonly log: Log;
  /** loaded when a network has a device */
  readonly infos: DeviceInfos | undefined;
}

type DeviceInfos = typeof import('./devices/info-files.ts');

/** How networks of a pod are attached. */
export function attacher(attaching: AttachingOne): Attacher<Added> {
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

function attachOne({ pod, started, log, infos }: AttachingOne): Attacher<Added>['attach'] {
  return async (scope, attachment) => {
    const { name, list, runtime, requests } = attachment;
    started.push(attachment);
    if (requests.deviceId && requests.resourceName) {
      infos?.placeDeviceInfo(runtime.capabilityArgs, { resource: requests.resourceName, id: requests.deviceId }, log);
    }
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

/** Does something for a network whose errors say which one it was. */
export async function adding<T>(pod: Pod, attachment: Attachment, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw addingFailed(pod, attachment, error);
  }
}

const addingFailed = (pod: Pod, { list }: Attachment, error: unknown): CniError =>
  withPrefix(`[${podLabel(pod)}:${list.name}]: error adding container to network ${JSON.stringify(list.name)}`, error);
