import { CniError } from '../../lib/cni/errors.ts';
import type { Call, Host } from '../../lib/cni/plugin.ts';
import { reopen, type Sandbox } from '../../lib/cni/sandbox.ts';
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
export async function claimVf(call: Call<unknown>, host: Host, records: Records, deviceId: string): Promise<FileLock> {
  await finishOwn(call, host, records);
  const lock = await lockVf(host, records.path, deviceId);
  try {
    const left = records.list(host.log).filter(({ record }) => record.deviceId === deviceId);
    const owner = ownerOf(records.path, deviceId);
    if (owner !== undefined && (await isHeld(host, records, deviceId, owner, left))) {
      throw new CniError(
        'tryAgainLater',
        `cannot use device "${deviceId}": it is already allocated to the pod with network namespace "${owner}"`,
      );
    }
    for (const stray of owner === undefined ? [] : left) {
      host.log(`VF "${deviceId}" was left by the pod with network namespace "${owner}", which is gone`);
      await giveBack(host, records, stray, { sandboxes: [], ifName: '' });
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
  host: Host,
  records: Records,
  deviceId: string,
  owner: string,
  left: readonly NamedRecord[],
): Promise<boolean> {
  if (left.length === 0 && owner.startsWith('/proc/') && isHome(host, deviceId)) {
    return false;
  }
  const sandboxes = left.length === 0 ? [{ path: owner }] : left.map((named) => sandboxOfRecord(records, named));
  for (const sandbox of sandboxes) {
    if (await isHere(host, sandbox)) {
      return true;
    }
  }
  return false;
}

function isHome(host: Host, deviceId: string): boolean {
  const device = lookAt(deviceId, host.sysfs)?.device;
  return device !== undefined && !isUserspace(device) && netNamesOf(device).length > 0;
}

async function isHere(host: Host, sandbox: Sandbox): Promise<boolean> {
  const { netns } = await reopen(host, sandbox);
  netns?.[Symbol.dispose]();
  return netns !== undefined;
}

/** An ADD of this very attachment that did not come to its end is undone: it may have been about another VF. */
async function finishOwn(call: Call<unknown>, host: Host, records: Records): Promise<void> {
  const name = nameOf(call);
  const record = records.readOrLog(name, host.log);
  if (record === undefined) {
    return;
  }
  const { deviceId, own } = record;
  using _lock = await lockVf(host, records.path, deviceId);
  const named = { name, record };
  if (await isSomebodyElses(host, records, named)) {
    records.remove(name);
    return;
  }
  const recorded = sandboxOfRecord(records, named);
  const isAllocated = own?.phase !== 'changing' && ownerOf(records.path, deviceId) !== undefined;
  if (isAllocated && (await isHere(host, recorded))) {
    throw new CniError(
      'tryAgainLater',
      `cannot add interface "${call.ifName}": the container has it already, it is VF "${deviceId}"`,
    );
  }
  host.log(`VF "${deviceId}" was left by an ADD that did not come to its end`);
  await giveBack(host, records, named, { sandboxes: [recorded, { path: call.netnsPath }], ifName: call.ifName });
  records.remove(name);
}
