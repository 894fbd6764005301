import { CniError } from '../../lib/cni/errors.ts';
import { reopenIfHere } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type DeviceFacts, findDevice, listDevices, setAlias, setDown } from '../../lib/link/device.ts';
import { setUp } from '../../lib/link/link.ts';
import { findSame, isSameDevice, moveLink, renameLink } from '../../lib/link/moving.ts';
import { restoreAltNames, restorePicture } from '../../lib/link/picture.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { incarnationOf } from '../../lib/sys/bus-device.ts';
import type { DeviceRecord } from './record.ts';

/**
 * Brings a device home: out of the pod, or from under the name that the kernel left it with when its namespace died.
 *
 * Idempotent: what an interrupted call has done already is passed over.
 *
 * @param from the pod's namespace; undefined when it is gone
 * @returns true if the record can be deleted; false while the kernel has not yet returned the device: it does so some
 * time after the namespace has lost its name
 * @throws CniError, ErrnoError when the device cannot leave the pod; then it is there as it was, and up
 */
export async function bringHome(scope: Scope, record: DeviceRecord, from: Netns | undefined): Promise<boolean> {
  const away = from === undefined ? undefined : await findAway(from, record);
  const home =
    away !== undefined && from !== undefined ? await moveOut(scope, from, away, record) : await findHome(scope, record);
  if (home === undefined) {
    scope.log(`device "${record.picture.device.name}" is gone: there is nothing to bring back`);
    return record.picture.device.kind !== ''; // a virtual link ends with its namespace
  }
  await makeAsItWas(scope, home, record);
  return true;
}

/**
 * A device that is here gets back its name and, unless the record says otherwise, all that it was. What was recorded of
 * another life, before a boot or before the device was made anew, is out of date: nothing of it is applied.
 *
 * @throws CniError, ErrnoError when another link has its name
 */
export async function makeAsItWas(scope: Scope, home: DeviceFacts, record: DeviceRecord): Promise<void> {
  if (!isOfThisLife(scope, home, record)) {
    scope.log(`device "${home.name}" stays as it is: what was recorded of it is older than the device`);
    return;
  }
  const named = await callByName(scope.node.host, home, record);
  const faults = record.restore
    ? await restorePicture(scope.node.host, named, record.picture)
    : await restoreNames(scope.node.host, named, record);
  for (const fault of faults) {
    scope.log(`device "${named.name}" is not quite as it was: ${fault}`);
  }
}

/** The pod's namespace as ADD knew it, wherever it is; undefined when it is gone. */
export const openRecorded = (scope: Scope, { netns, namespace }: DeviceRecord): Promise<Netns | undefined> =>
  reopenIfHere(scope, { path: netns, identity: namespace });

/** A virtual link has no hardware that would tell: its index does, with which it goes home. */
function isOfThisLife(scope: Scope, home: DeviceFacts, { namespace, incarnation, picture }: DeviceRecord): boolean {
  if (namespace.boot !== scope.node.bootId) {
    return false;
  }
  const { device } = picture;
  return incarnation === ''
    ? home.index === device.index || home.alias === device.name
    : incarnationOf(device.parentDev, scope.node.sysfs) === incarnation;
}

/** The device within the pod: by what it is, since programs there can rename it and rewrite its alias. */
export async function findAway(netns: Netns, { ifName, picture }: DeviceRecord): Promise<DeviceFacts | undefined> {
  const { device } = picture;
  const expected = await findDevice(netns.netlink, ifName);
  if (expected !== undefined && (expected.alias === device.name || isSameDevice(expected, device))) {
    return expected;
  }
  const all = await listDevices(netns.netlink);
  return findSame(all, device) ?? all.find((other) => other.alias === device.name);
}

/** The device in the namespace that it came from, under whatever name. */
export async function findHome(scope: Scope, { picture }: DeviceRecord): Promise<DeviceFacts | undefined> {
  const { device } = picture;
  const named = await findDevice(scope.node.host.netlink, device.name);
  if (named !== undefined && isSameDevice(named, device)) {
    return named;
  }
  return findSame(await listDevices(scope.node.host.netlink), device);
}

/**
 * Moves a device out of the pod.
 *
 * @throws CniError, ErrnoError EEXIST when its name is taken at home: then it is in the pod as it was
 */
export async function moveOutOf(
  scope: Scope,
  from: Netns,
  away: DeviceFacts,
  to: { readonly name: string; readonly alias: string; readonly index?: number },
): Promise<DeviceFacts> {
  const destination = { netns: scope.node.host, ...to };
  try {
    return await moveLink(from, away, destination);
  } catch (error) {
    const still = await findDevice(from.netlink, away.name);
    if (still !== undefined && away.isUp) {
      await setUp(from.netlink, still);
    }
    throw error;
  }
}

const moveOut = (scope: Scope, from: Netns, away: DeviceFacts, { picture }: DeviceRecord): Promise<DeviceFacts> =>
  moveOutOf(scope, from, away, picture.device);

/** The kernel leaves a device whose namespace died under the name it had there, or as `dev<index>`. */
async function callByName(netns: Netns, device: DeviceFacts, { picture }: DeviceRecord): Promise<DeviceFacts> {
  const { name } = picture.device;
  if (device.name === name) {
    return device;
  }
  const other = await findDevice(netns.netlink, name);
  if (other !== undefined && other.index !== device.index) {
    throw new CniError(
      'internal',
      `cannot call link "${device.name}" "${name}" again: link "${other.name}" has that name now`,
    );
  }
  return renameLink(netns, device, name);
}

async function restoreNames(netns: Netns, device: DeviceFacts, { picture }: DeviceRecord): Promise<readonly string[]> {
  await restoreAltNames(netns, device, picture.device);
  if (device.alias !== picture.device.alias) {
    await setAlias(netns.netlink, device, picture.device.alias);
  }
  if (device.isUp) {
    await setDown(netns.netlink, device);
  }
  return [];
}
