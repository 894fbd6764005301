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
 * Moves a device back to the node, from the pod or from under the name that the kernel left it with when the pod's
 * namespace died, and restores it. Idempotent.
 *
 * @param from the pod's namespace; undefined when it is gone
 * @returns true if the record can be deleted; false while the kernel has not yet returned the device, which it does
 * some time after the namespace lost its name
 * @throws CniError, ErrnoError when the device cannot leave the pod; then it is unchanged there, and up
 */
export async function bringHome(scope: Scope, record: DeviceRecord, from: Netns | undefined): Promise<boolean> {
  const away = from === undefined ? undefined : await findInPod(from, record);
  const home =
    away !== undefined && from !== undefined ? await moveOut(scope, from, away, record) : await findHome(scope, record);
  if (home === undefined) {
    scope.log(`device "${record.picture.device.name}" is gone: nothing to restore`);
    return record.picture.device.kind !== ''; // a virtual link dies with its namespace
  }
  await restoreDevice(scope, home, record);
  return true;
}

/**
 * Renames a device on the node back and, unless the record says otherwise, restores its state. A record of another
 * incarnation of the device is stale and never applied.
 *
 * @throws CniError, ErrnoError when another link has its name
 */
export async function restoreDevice(scope: Scope, home: DeviceFacts, record: DeviceRecord): Promise<void> {
  if (!isSameIncarnation(scope, home, record)) {
    scope.log(
      `device "${home.name}" is left as it is: its record is stale, from before a reboot or another device at this place`,
    );
    return;
  }
  const named = await renameBack(scope.node.host, home, record);
  const faults = record.restore
    ? await restorePicture(scope.node.host, named, record.picture)
    : await restoreNames(scope.node.host, named, record);
  for (const fault of faults) {
    scope.log(`cannot fully restore device "${named.name}": ${fault}`);
  }
}

/** The namespace that ADD recorded, wherever it is; undefined when it is gone. */
export const openRecorded = (scope: Scope, { netns, namespace }: DeviceRecord): Promise<Netns | undefined> =>
  reopenIfHere(scope, { path: netns, identity: namespace });

/** A virtual link has no hardware incarnation; its index, kept when it moves back, identifies it. */
function isSameIncarnation(
  scope: Scope,
  home: DeviceFacts,
  { namespace, incarnation, picture }: DeviceRecord,
): boolean {
  if (namespace.boot !== scope.node.bootId) {
    return false;
  }
  const { device } = picture;
  return incarnation === ''
    ? home.index === device.index || home.alias === device.name
    : incarnationOf(device.parentDev, scope.node.sysfs) === incarnation;
}

/** The device in the pod, by identity: programs there can change its name and alias. */
export async function findInPod(netns: Netns, { ifName, picture }: DeviceRecord): Promise<DeviceFacts | undefined> {
  const { device } = picture;
  const expected = await findDevice(netns.netlink, ifName);
  if (expected !== undefined && (expected.alias === device.name || isSameDevice(expected, device))) {
    return expected;
  }
  const all = await listDevices(netns.netlink);
  return findSame(all, device) ?? all.find((other) => other.alias === device.name);
}

/** The device on the node, under whatever name. */
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
 * @throws CniError, ErrnoError EEXIST when its name is taken on the node; the device is then unchanged in the pod
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

/** The kernel returns a device from a dead namespace under its name there, or as `dev<index>`. */
async function renameBack(netns: Netns, device: DeviceFacts, { picture }: DeviceRecord): Promise<DeviceFacts> {
  const { name } = picture.device;
  if (device.name === name) {
    return device;
  }
  const other = await findDevice(netns.netlink, name);
  if (other !== undefined && other.index !== device.index) {
    throw new CniError(
      'internal',
      `cannot rename link "${device.name}" back to "${name}": link "${other.name}" has that name`,
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
