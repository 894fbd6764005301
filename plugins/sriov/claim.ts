import type { AttachmentCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { reopen, type Sandbox } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { isUserspace, netNamesOf } from '../../lib/sys/bus-device.ts';
import type { FileLock } from '../../lib/sys/lock.ts';
import { lookAt } from './discover.ts';
import { giveBack, isSomebodyElses } from './give-back.ts';
import { lockVf, ownerOf } from './places.ts';
import { type NamedRecord, nameOf, type Records, sandboxOfRecord } from './records.ts';

/**
 * Locks a VF that nobody has. What a killed call or a pod that died has left of it is put right first.
 *
 * @throws CniError tryAgainLater when a pod has the VF, or another call is at it
 */
export async function claimVf(
  call: AttachmentCall<unknown>,
  scope: Scope,
  records: Records,
  deviceId: string,
): Promise<FileLock> {
  await finishOwn(call, scope, records);
  const lock = await lockVf(scope, records.path, deviceId);
  try {
    const left = records.list(scope.log).filter(({ record }) => record.deviceId === deviceId);
    const owner = ownerOf(records.path, deviceId);
    if (owner !== undefined && (await isHeld(scope, records, deviceId, owner, left))) {
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

/** An allocation without a record has only a path; one through /proc is believed as long as the VF is not on the node. */
async function isHeld(
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
  const device = lookAt(deviceId, scope.node.sysfs)?.device;
  return device !== undefined && !isUserspace(device) && netNamesOf(device).length > 0;
}

async function isHere(scope: Scope, sandbox: Sandbox): Promise<boolean> {
  const { netns } = await reopen(scope, sandbox);
  netns?.[Symbol.dispose]();
  return netns !== undefined;
}

/** An ADD of this very attachment that did not come to its end is undone: it may have been about another VF. */
async function finishOwn(call: AttachmentCall<unknown>, scope: Scope, records: Records): Promise<void> {
  const name = nameOf(call);
  const record = records.readOrLog(name, scope.log);
  if (record === undefined) {
    return;
  }
  const { deviceId, own } = record;
  using _lock = await lockVf(scope, records.path, deviceId);
  const named = { name, record };
  if (await isSomebodyElses(scope, records, named)) {
    records.remove(name);
    return;
  }
  const recorded = sandboxOfRecord(records, named);
  const isAllocated = own?.phase !== 'changing' && ownerOf(records.path, deviceId) !== undefined;
  if (isAllocated && (await isHere(scope, recorded))) {
    throw new CniError(
      'tryAgainLater',
      `cannot add interface "${call.ifName}": the container has it already, it is VF "${deviceId}"`,
    );
  }
  scope.log(`VF "${deviceId}" was left by an ADD that did not come to its end`);
  await giveBack(scope, records, named, { sandboxes: [recorded, { path: call.netnsPath }], ifName: call.ifName });
  records.remove(name);
}
