import { CniError } from '../../lib/cni/errors.ts';
import type { Call, Host } from '../../lib/cni/plugin.ts';
import type { FileLock } from '../../lib/sys/lock.ts';
import { giveBack, isSomebodyElses } from './give-back.ts';
import { isAlive, lockVf, ownerOf } from './places.ts';
import { listRecords, nameOf, readRecord, removeRecord } from './records.ts';

/**
 * Locks a VF that nobody has. What a killed call or a pod that died has left of it is put right first.
 *
 * @throws CniError tryAgainLater when a pod has the VF, or another call is at it
 */
export async function claimVf(call: Call<unknown>, host: Host, folder: string, deviceId: string): Promise<FileLock> {
  await finishOwn(call, host, folder);
  const lock = await lockVf(host, folder, deviceId);
  try {
    const owner = ownerOf(folder, deviceId);
    if (owner !== undefined && isAlive(host, owner)) {
      throw new CniError(
        'tryAgainLater',
        `cannot use device "${deviceId}": it is already allocated to the pod with network namespace "${owner}"`,
      );
    }
    if (owner !== undefined) {
      await bringStrayHome(host, folder, deviceId, owner);
    }
    return lock;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** An ADD of this very attachment that did not come to its end is undone: it may have been about another VF. */
async function finishOwn(call: Call<unknown>, host: Host, folder: string): Promise<void> {
  const record = readRecord(folder, call, host.log);
  if (record === undefined) {
    return;
  }
  using _lock = await lockVf(host, folder, record.deviceId);
  const { own } = record;
  const netnsPath = own?.netns ?? call.netnsPath;
  if (isSomebodyElses(host, folder, record, { netnsPath, name: nameOf(call) })) {
    removeRecord(folder, nameOf(call));
    return;
  }
  if (own?.phase !== 'changing' && ownerOf(folder, record.deviceId) !== undefined && isAlive(host, netnsPath)) {
    throw new CniError(
      'tryAgainLater',
      `cannot add interface "${call.ifName}": the container has it already, it is VF "${record.deviceId}"`,
    );
  }
  host.log(`VF "${record.deviceId}" was left by an ADD that did not come to its end`);
  await giveBack(host, folder, record, { netnsPaths: [netnsPath, call.netnsPath], ifName: call.ifName });
  removeRecord(folder, nameOf(call));
}

/** A VF whose pod has died without DEL. */
async function bringStrayHome(host: Host, folder: string, deviceId: string, owner: string): Promise<void> {
  const records = listRecords(folder, host.log).filter(({ record }) => record.deviceId === deviceId);
  for (const { name, record } of records) {
    host.log(`VF "${deviceId}" was left by the pod with network namespace "${owner}", which is gone`);
    await giveBack(host, folder, record, { netnsPaths: [], ifName: '' });
    removeRecord(folder, name);
  }
}
