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
import { findHome, makeAsItWas } from './home.ts';
import { type DeviceRecord, nameOf, type Records } from './record.ts';
import { findWanted, selectorText, type Wanted } from './select.ts';

const LOCK_TIMEOUT_MS = 60_000;

/** A device on the node, and the right to do something with it for as long as this is not disposed of. */
export interface Claimed extends Disposable {
  readonly device: DeviceFacts;
}

/**
 * Makes the wanted device this call's own. What a killed call or a pod that died has left of it is put right first.
 *
 * @throws CniError internal when it is not on the node; tryAgainLater when another call is at it
 */
export async function claimDevice(scope: Scope, wanted: Wanted, records: Records, ifName: string): Promise<Claimed> {
  const place = { netlink: scope.node.host.netlink, sysfs: scope.node.sysfs };
  let found = await findWanted(wanted, place);
  if (found === undefined) {
    await settleAll(scope, records);
    found = await findWanted(wanted, place);
  }
  if (found === undefined) {
    throw notHere(wanted);
  }
  if ((found.flags & IFF_LOOPBACK) !== 0) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use ${selectorText(wanted)}: every namespace has its own loopback`,
    );
  }
  const lock = await lockDevice(scope, records, found);
  try {
    await settleLeftOvers(scope, records, found);
    const now = await findWanted(wanted, place); // another call may have taken it while we waited
    if (now === undefined) {
      throw notHere(wanted);
    }
    const device = await trueName(scope.node.host, now, ifName);
    return { device, [Symbol.dispose]: () => lock[Symbol.dispose]() };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/**
 * Excludes every other call that is about the same device.
 *
 * @param device as it is on the node, or was when it was recorded
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

const notHere = (wanted: Wanted): CniError =>
  new CniError(
    'internal',
    `cannot find ${selectorText(wanted)}: no such interface in this namespace; a pod may have it`,
  );

/** A device that is not found by its selector may be on the node under another name. */
async function settleAll(scope: Scope, records: Records): Promise<void> {
  for (const { record } of records.list(scope.log)) {
    using _lock = await lockDevice(scope, records, record.picture.device);
    await settle(scope, records, record);
  }
}

async function settleLeftOvers(scope: Scope, records: Records, device: DeviceFacts): Promise<void> {
  for (const { record } of records.list(scope.log)) {
    if (isSameDevice(record.picture.device, device)) {
      await settle(scope, records, record);
    }
  }
}

/**
 * The kernel left the device here when its pod died, the Go plugin's DEL brought it, or a call of ours was killed. Whether
 * the pod lives does not matter: the device is not in it.
 */
async function settle(scope: Scope, records: Records, record: DeviceRecord): Promise<void> {
  const here = await findHome(scope, record);
  if (here !== undefined) {
    await makeAsItWas(scope, here, record);
    records.remove(nameOf(record));
  }
}

/**
 * A device that the Go plugin moved, and whose pod died, is called as it was there and says in its alias what it was
 * called before. Other aliases are somebody's text and stay.
 */
async function trueName(netns: Netns, device: DeviceFacts, ifName: string): Promise<DeviceFacts> {
  const isLeftOver = device.name === ifName || /^(net|dev)\d+$/.test(device.name);
  const isOldName = ifNameFault(device.alias) === undefined && /^(en|eth|ib|hsn|p\d)[a-z0-9]*\d/.test(device.alias);
  if (!isLeftOver || !isOldName || (await findLink(netns.netlink, device.alias)) !== undefined) {
    return device;
  }
  const named = await renameLink(netns, device, device.alias);
  await setAlias(netns.netlink, named, '');
  return { ...named, alias: '' };
}
