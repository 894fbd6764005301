import type { Attachment as Valid } from '../../lib/cni/call.ts';
import { asCniError, CODES, messageOf, withPrefix } from '../../lib/cni/errors.ts';
import type { RuntimeConf } from '../../lib/cni/network.ts';
import type { CacheListing } from '../../lib/cni/result-cache.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { isShortage } from '../../lib/sys/io-error.ts';
import { removeStaleLocks } from '../../lib/sys/lock.ts';
import { type Attachment, attachmentsOf, detachAll, inNetns } from './attachments.ts';
import { lockContainer } from './container-lock.ts';
import type { Log } from './log.ts';
import { openPod } from './pod-record.ts';
import { mergeAttachments, recallAttachments, recalledRuntime } from './recall.ts';
import { NO_POD, type Pod, podOf } from './runtime-args.ts';
import { readStored, removeScratch, scratchesIn, scratchNames, unfinishedNames } from './scratch.ts';
import type { Stored } from './scratch-form.ts';

/** A container whose first interface is not recorded anywhere: what every runtime calls it. */
const USUAL_NAME = 'eth0';

const NOTHING: Stored = { delegates: [], pod: undefined };

export interface Memory {
  readonly listing: CacheListing;
  readonly shared: RuntimeConf;
  readonly version: string;
  readonly log: Log;
}

/**
 * Deletes what containers have left that the runtime does not name, and what killed calls have left of files.
 *
 * @returns what failed
 */
export async function collectDead(scope: Scope, memory: Memory, valid: readonly Valid[]): Promise<readonly unknown[]> {
  const errors: unknown[] = [];
  for (const containerId of deadContainers(memory, valid)) {
    errors.push(...(await collect(containerId, scope, memory)));
  }
  await tidy(scope, memory.shared.cacheDir);
  return errors;
}

/** A file that is no scratch file, or not any more, is left alone unless the cache knows a container of that name. */
function deadContainers(memory: Memory, valid: readonly Valid[]): readonly string[] {
  const { cacheDir } = memory.shared;
  const alive = new Set(valid.map(({ containerID }) => containerID));
  const scratches = scratchNames(cacheDir).filter(
    (name) => !alive.has(name) && storedFor(name, memory).delegates.length > 0,
  );
  const cached = memory.listing.attachments.map(({ containerId }) => containerId);
  const known = new Set([...scratches, ...cached]);
  return [...known].filter((containerId) => !alive.has(containerId));
}

async function collect(containerId: string, scope: Scope, memory: Memory): Promise<readonly unknown[]> {
  const errors: unknown[] = [];
  try {
    const { cacheDir } = memory.shared;
    using _lock = await lockContainer(scope, cacheDir, containerId, 0);
    const stored = storedFor(containerId, memory);
    using netns = stored.pod && (await openPod(scope, stored.pod, ''));
    const recalled = attachedTo(containerId, stored, memory);
    const attachments = stored.pod ? inNetns(recalled, netns?.path ?? '') : recalled;
    memory.log.verbose(() => `Gc: ${containerId}: ${attachments.map(({ list }) => list.name).join(' ')}`);
    errors.push(...(await detachAll(scope, attachments)).map(({ error }) => error));
    if (errors.length === 0) {
      removeScratch(cacheDir, containerId);
    }
  } catch (error) {
    if (asCniError(error).code === CODES.tryAgainLater && errors.length === 0) {
      memory.log.verbose(() => `Gc: ${containerId} is left: ${messageOf(error)}`); // its ADD or DEL is on its way
      return [];
    }
    errors.push(error);
  }
  return errors.map((error) => withPrefix(`failed to delete stale container ${containerId}`, error));
}

/** From the scratch file, with what the result cache knows of each, and whatever else the cache has. */
function attachedTo(containerId: string, { delegates, pod }: Stored, memory: Memory): readonly Attachment[] {
  const { shared, version, log } = memory;
  const records = memory.listing.attachments.filter((record) => record.containerId === containerId);
  const cached = records.find(({ network }) => network === delegates[0]?.list.name);
  const ifName = pod?.ifName ?? cached?.ifName ?? USUAL_NAME;
  const cniArgs = pod?.args ?? '';
  const facts = { pod: podOrNone(cniArgs, log), cniArgs, supplied: undefined };
  const fromScratch = attachmentsOf(delegates, { ...shared, containerId, ifName }, facts).map((attachment) => {
    const record = records.find(
      ({ network, ifName }) => network === attachment.list.name && ifName === attachment.runtime.ifName,
    );
    return record ? { ...attachment, runtime: recalledRuntime(record, shared) } : attachment;
  });
  return mergeAttachments(fromScratch, recallAttachments(records, shared, version).attachments);
}

function podOrNone(cniArgs: string, log: Log): Pod {
  try {
    return podOf(cniArgs);
  } catch (error) {
    log.error(messageOf(error));
    return NO_POD;
  }
}

/** Calls that are on their way hold the locks of what they write. Best effort. */
async function tidy(scope: Scope, cacheDir: string): Promise<void> {
  for (const containerId of unfinishedNames(cacheDir)) {
    try {
      using _lock = await lockContainer(scope, cacheDir, containerId, 0);
      scratchesIn(cacheDir).removeUnfinished(containerId);
    } catch {
      // the next GC finds it
    }
  }
  removeStaleLocks(scope, cacheDir);
}

/** @throws CniError when the file cannot be read for now; one that never can tells nothing */
export function storedFor(containerId: string, { shared, version, log }: Memory): Stored {
  try {
    return readStored(shared.cacheDir, containerId, version) ?? NOTHING;
  } catch (error) {
    if (isShortage(error)) {
      throw error;
    }
    log.error(`container ${containerId}: ${messageOf(error)}`);
    return NOTHING;
  }
}
