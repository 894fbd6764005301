import type { AttachmentCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { reopen, type Sandbox } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { isUserspace, netNamesOf } from '../../lib/sys/bus-device.ts';
import type { FileLock } from '../../lib/sys/lock.ts';
import { lockVf, ownerOf } from './allocations.ts';
import { inspectVf } from './discover.ts';
import { belongsToAnother, giveBack } from './give-back.ts';
import { type NamedRecord, nameOf, type Records, sandboxOfRecord } from './records.ts';

/**
 * Locks a free VF, and cleans up what a killed call or a dead pod left of it.
 *
 * @throws CniError tryAgainLater when a pod has the VF, or another call has it locked
 */
export async function claimVf(
  call: AttachmentCall<unknown>,
  scope: Scope,
  records: Records,
  deviceId: string,
): Promise<FileLock> {
  await undoInterrupted(call, scope, records);
  const lock = await lockVf(scope, records.path, deviceId);
  try {
    const left = records.list(scope.log).filter(({ record }) => record.deviceId === deviceId);
    const owner = ownerOf(records.path, deviceId);
    if (owner !== undefined && (await isInUse(scope, records, deviceId, owner, left))) {
      throw new CniError(
        'tryAgainLater',
        `cannot use device "${deviceId}": it is already allocated to the pod with network namespace "${owner}"`,
      );
    }
    for (const stray of owner === undefined ? [] : left) {
      scope.log(`VF "${deviceId}" was left by the pod with network namespace "${owner}", which is gone`);
      await giveBack(scope, records, stray, { sandboxes: [], ifName: '' });
      records.remove(stray.name);
    }
    return lock;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** An allocation without a record has only a path; one below /proc counts only while the VF is not on the node. */
async function isInUse(
  scope: Scope,
  records: Records,
  deviceId: string,
  owner: string,
  left: readonly NamedRecord[],
): Promise<boolean> {
  if (left.length === 0 && owner.startsWith('/proc/') && isHome(scope, deviceId)) {
    return false;
  }
  const sandboxes = left.length === 0 ? [{ path: owner }] : left.map((named) => sandboxOfRecord(records, named));
  for (const sandbox of sandboxes) {
    if (await isHere(scope, sandbox)) {
      return true;
    }
  }
  return false;
}

function isHome(scope: Scope, deviceId: string): boolean {
  const device = inspectVf(deviceId, scope.node.sysfs)?.device;
  return device !== undefined && !isUserspace(device) && netNamesOf(device).length > 0;
}

async function isHere(scope: Scope, sandbox: Sandbox): Promise<boolean> {
  const { netns } = await reopen(scope, sandbox);
  netns?.[Symbol.dispose]();
  return netns !== undefined;
}

/** Undoes an interrupted ADD of this attachment, possibly of another VF. */
async function undoInterrupted(call: AttachmentCall<unknown>, scope: Scope, records: Records): Promise<void> {
  const name = nameOf(call);
  const record = records.readOrLog(name, scope.log);
  if (record === undefined) {
    return;
  }
  const { deviceId, own } = record;
  using _lock = await lockVf(scope, records.path, deviceId);
  const named = { name, record };
  if (await belongsToAnother(scope, records, named)) {
    records.remove(name);
    return;
  }
  const recorded = sandboxOfRecord(records, named);
  const isAllocated = own?.phase !== 'changing' && ownerOf(records.path, deviceId) !== undefined;
  if (isAllocated && (await isHere(scope, recorded))) {
    throw new CniError(
      'tryAgainLater',
      `cannot add interface "${call.ifName}": the container already has it, as VF "${deviceId}"`,
    );
  }
  scope.log(`VF "${deviceId}" was left by an interrupted ADD`);
  await giveBack(scope, records, named, { sandboxes: [recorded, { path: call.netnsPath }], ifName: call.ifName });
  records.remove(name);
}
