import { CniError } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type DeviceFacts, setAlias } from '../../lib/link/device.ts';
import { isSameDevice, renameLink } from '../../lib/link/moving.ts';
import { findLink } from '../../lib/link/observe.ts';
import { ifNameFault } from '../../lib/net/if-name.ts';
import { IFF_LOOPBACK } from '../../lib/netlink/codec/link.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { makeFolder } from '../../lib/sys/atomic-file.ts';
import { FileLock } from '../../lib/sys/lock.ts';
import { findHome, restoreDevice } from './home.ts';
import { type DeviceRecord, nameOf, type Records } from './record.ts';
import { findSelected, selectorText, type Wanted } from './select.ts';

const LOCK_TIMEOUT_MS = 60_000;

/** A device on the node, locked until disposed of. */
export interface Claimed extends Disposable {
  readonly device: DeviceFacts;
}

/**
 * Locks the wanted device for this call. Leftovers of a killed call or a dead pod are cleaned up first.
 *
 * @throws CniError internal when it is not on the node; tryAgainLater when another call has it locked
 */
export async function claimDevice(scope: Scope, wanted: Wanted, records: Records, ifName: string): Promise<Claimed> {
  const place = { netlink: scope.node.host.netlink, sysfs: scope.node.sysfs };
  let found = await findSelected(wanted, place);
  if (found === undefined) {
    await recoverAll(scope, records);
    found = await findSelected(wanted, place);
  }
  if (found === undefined) {
    throw notFound(wanted);
  }
  if ((found.flags & IFF_LOOPBACK) !== 0) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use ${selectorText(wanted)}: every namespace has its own loopback`,
    );
  }
  const lock = await lockDevice(scope, records, found);
  try {
    await recoverLeftovers(scope, records, found);
    const now = await findSelected(wanted, place); // another call may have taken it while we waited
    if (now === undefined) {
      throw notFound(wanted);
    }
    const device = await restoreOriginalName(scope.node.host, now, ifName);
    return { device, [Symbol.dispose]: () => lock[Symbol.dispose]() };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/**
 * Locks a device against all other calls.
 *
 * @param device as it is on the node, or as it was recorded
 * @throws CniError tryAgainLater, ioFailure
 */
export function lockDevice(
  scope: Scope,
  records: Records,
  { parentDev, kind, mac }: Pick<DeviceFacts, 'parentDev' | 'kind' | 'mac'>,
): Promise<FileLock> {
  makeFolder(records.path);
  const name = (parentDev || `${kind}-${mac}`).replaceAll('/', '-');
  return FileLock.acquire(scope, records.fileOf(`.${name}.lock`), { timeoutMs: LOCK_TIMEOUT_MS, isTransient: true });
}

const notFound = (wanted: Wanted): CniError =>
  new CniError(
    'internal',
    `cannot find ${selectorText(wanted)}: no such interface in this namespace; a pod may have it`,
  );

/** A device that its selector does not match may be on the node under another name. */
async function recoverAll(scope: Scope, records: Records): Promise<void> {
  for (const { record } of records.list(scope.log)) {
    using _lock = await lockDevice(scope, records, record.picture.device);
    await recover(scope, records, record);
  }
}

async function recoverLeftovers(scope: Scope, records: Records, device: DeviceFacts): Promise<void> {
  for (const { record } of records.list(scope.log)) {
    if (isSameDevice(record.picture.device, device)) {
      await recover(scope, records, record);
    }
  }
}

/**
 * The kernel returned the device when its pod died, DEL of the Go plugin moved it, or a call of ours was killed. The
 * device is not in the pod, so it does not matter whether the pod lives.
 */
async function recover(scope: Scope, records: Records, record: DeviceRecord): Promise<void> {
  const here = await findHome(scope, record);
  if (here !== undefined) {
    await restoreDevice(scope, here, record);
    records.remove(nameOf(record));
  }
}

/**
 * A device that the Go plugin moved, and whose pod died, still has its name from the pod; its alias is its name from
 * before. Other aliases are user text and stay.
 */
async function restoreOriginalName(netns: Netns, device: DeviceFacts, ifName: string): Promise<DeviceFacts> {
  const isLeftOver = device.name === ifName || /^(net|dev)\d+$/.test(device.name);
  const isOldName = ifNameFault(device.alias) === undefined && /^(en|eth|ib|hsn|p\d)[a-z0-9]*\d/.test(device.alias);
  if (!isLeftOver || !isOldName || (await findLink(netns.netlink, device.alias)) !== undefined) {
    return device;
  }
  const named = await renameLink(netns, device, device.alias);
  await setAlias(netns.netlink, named, '');
  return { ...named, alias: '' };
}
