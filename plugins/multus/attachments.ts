import type { AttachmentCall, NetworkCall } from '../../lib/cni/call.ts';
import { delegateTimeoutMs, runsInProcess } from '../../lib/cni/delegate.ts';
import { withPrefix } from '../../lib/cni/errors.ts';
import { delNetwork, type RuntimeConf } from '../../lib/cni/network.ts';
import type { NetworkList } from '../../lib/cni/network-list.ts';
import { overlap } from '../../lib/cni/overlap.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import type { CommonConf, RuntimeConfigConf } from './config.ts';
import { isOurselves } from './delegates.ts';
import { removeDeviceInfoFile, withDeviceInfoFile } from './device-info.ts';
import { interfaceNames } from './names.ts';
import { binDirOf, cniDirOf } from './places.ts';
import { capabilityArgs, delegateArgs, type Pod, type Requests } from './runtime-args.ts';

/** One network of one pod: what to run, and with what. */
export interface Attachment {
  /** of the delegate */
  readonly name: string;
  readonly list: NetworkList;
  readonly runtime: RuntimeConf;
  readonly requests: Requests;
}

/** There is a first one. */
export type Filled<T> = readonly [T, ...T[]];

export const isFilled = <T>(list: readonly T[]): list is Filled<T> => list.length > 0;

interface Wanted {
  readonly name: string;
  readonly list: NetworkList;
  readonly requests: Requests;
}

/** What the attachments of a call have in common. */
export function sharedRuntime(call: AttachmentCall<unknown> | NetworkCall<unknown>, common: CommonConf): RuntimeConf {
  const about = 'containerId' in call ? call : { containerId: '', netnsPath: undefined, ifName: '' };
  return {
    containerId: about.containerId,
    netns: about.netnsPath ?? '',
    ifName: about.ifName,
    args: [],
    capabilityArgs: {},
    timeoutMs: delegateTimeoutMs(call.document),
    cacheDir: cniDirOf(common),
    path: [binDirOf(common), ...call.path],
    env: { ...call.env }, // process.env is slow to copy, and each delegate gets a copy
  };
}

/** What arguments are made of. */
export interface PodFacts {
  readonly pod: Pod;
  readonly cniArgs: string;
  readonly supplied: RuntimeConfigConf | undefined;
  /** only ADD tells plugins in CNI_ARGS which addresses are asked for */
  readonly isAdd?: boolean;
}

/** The attachments of a pod: interfaces are named by position, arguments made for each. */
export function attachmentsOf(delegates: readonly Wanted[], shared: RuntimeConf, pod: PodFacts): readonly Attachment[] {
  const names = interfaceNames(
    delegates.map(({ requests }) => requests.ifName),
    shared.ifName,
  );
  return delegates.map(({ name, list, requests }, index) => {
    const ifName = names[index] ?? '';
    const capabilities = capabilityArgs(pod.supplied, requests, index === 0);
    return {
      name,
      list,
      requests,
      runtime: {
        ...shared,
        ifName,
        args: delegateArgs(pod.pod, pod.cniArgs, pod.isAdd ? requests : {}),
        capabilityArgs: withDeviceInfoFile(capabilities, { name, containerId: shared.containerId, ifName }),
      },
    };
  });
}

/** The same in the namespace that a path leads to; '' where it is gone. */
export const inNetns = (attachments: readonly Attachment[], netns: string): readonly Attachment[] =>
  attachments.map((attachment) => ({ ...attachment, runtime: { ...attachment.runtime, netns } }));

/** How to attach. */
export interface Attacher<T> {
  /** Looks whether some can be attached after others were. Only reads. */
  lookAgain(attachments: readonly Attachment[]): Promise<void>;
  attach(scope: Scope, attachment: Attachment): Promise<T>;
}

/**
 * Attaches in order. Neighbours that run inside this process overlap: they wait together for what one of them would wait
 * for, a lock and a sync to disk, or the kernel's look for duplicate addresses. Plugins that are executed run alone.
 *
 * @throws what the first that failed has thrown, when none is at work any more
 */
export async function attachAll<T>(
  scope: Scope,
  attachments: Filled<Attachment>,
  { lookAgain, attach }: Attacher<T>,
): Promise<Filled<T>> {
  const attached: T[] = [];
  for (const [turn, together] of inTurns(scope, attachments).entries()) {
    if (turn > 0) {
      await lookAgain(together);
    }
    const outcomes = await overlap(
      scope,
      together.map((attachment) => (shared) => attach(shared, attachment)),
    );
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw outcome.reason;
      }
      attached.push(outcome.value);
    }
  }
  return attached as unknown as Filled<T>; // one for each attachment
}

/** An attachment whose DEL failed. */
export interface Remaining {
  readonly attachment: Attachment;
  readonly error: unknown;
}

/**
 * Deletes attachments, last to first, whatever fails. Neighbours that run inside this process are started together: what
 * they wait for is the kernel, and it lets one request delete the links of all. Plugins that are executed keep their
 * order.
 *
 * @returns what failed, last attachment first
 */
export async function detachAll(scope: Scope, attachments: readonly Attachment[]): Promise<readonly Remaining[]> {
  const failed: Remaining[] = [];
  for (const together of inTurns(scope, attachments.toReversed())) {
    const turn = together.map(async (attachment) => {
      try {
        await detach(scope, attachment);
        return undefined;
      } catch (error) {
        return { attachment, error };
      }
    });
    failed.push(...(await Promise.all(turn)).filter((outcome) => outcome !== undefined));
  }
  return failed;
}

async function detach(scope: Scope, { list, runtime }: Attachment): Promise<void> {
  if (isOurselves(list)) {
    return; // written by a version that let multus call itself: it would come back here for ever
  }
  try {
    await delNetwork(scope, list, runtime);
    removeDeviceInfoFile(runtime.capabilityArgs);
  } catch (error) {
    throw withPrefix(`error deleting container from network ${JSON.stringify(list.name)}`, error);
  }
}

function inTurns(scope: Scope, attachments: readonly Attachment[]): readonly (readonly Attachment[])[] {
  const isOwn = new Map<string, boolean>();
  const turns: Attachment[][] = [];
  let last: Attachment[] | undefined;
  for (const attachment of attachments) {
    const isInside = staysInside(scope, attachment, isOwn);
    if (isInside && last !== undefined) {
      last.push(attachment);
      continue;
    }
    const turn = [attachment];
    turns.push(turn);
    last = isInside ? turn : undefined;
  }
  return turns;
}

/** @param known what was found out about a type; files are looked at once, not for each of 16 networks */
function staysInside(scope: Scope, { list, runtime }: Attachment, known: Map<string, boolean>): boolean {
  return list.plugins.every(({ type }) => {
    const isOwn = known.get(type) ?? runsInProcess(scope, type, runtime.path, runtime.env);
    known.set(type, isOwn);
    return isOwn;
  });
}
