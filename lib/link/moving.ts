import { constants } from 'node:os';
import { encodeLink, RTM_SETLINK } from '../netlink/codec/link.ts';
import { errnoError, hasErrno } from '../netlink/errno.ts';
import type { Netns } from '../netns/netns.ts';
import {
  addAltName,
  change,
  type DeviceFacts,
  deleteAltName,
  deleteAltNames,
  findDevice,
  findDeviceByIndex,
  setDown,
} from './device.ts';
import { isMovable } from './movable.ts';
import { explain, holderOf } from './refusal.ts';

/** Where a link goes, and what it is called there. */
export interface Destination {
  readonly netns: Netns;
  readonly name: string;
  /** undefined leaves it as it is, '' takes it away */
  readonly alias?: string;
  /** the index that it should have there, when that is free; kernels before 5.13 do not take it */
  readonly index?: number;
}

/**
 * Moves a link into another namespace under another name, in one request: it is never seen in either namespace under a
 * name that is not its own there. It arrives set down, without addresses and routes, and without alternative names: they
 * are names of the namespace that it leaves, and could be taken in the other one, or wanted for somebody else there.
 *
 * Waits for a grace period of the kernel, some 10 to 20 ms.
 *
 * @throws ErrnoError, Refusal EEXIST when something there has the name; then, and after every other failure, the link is
 * in `from` under the names that it had
 */
export async function moveLink(from: Netns, link: DeviceFacts, to: Destination): Promise<DeviceFacts> {
  const operation = `move link "${link.name}" to namespace "${to.netns.path}" as "${to.name}"`;
  const holder = await holderOf(to.netns.netlink, to.name);
  if (holder !== undefined) {
    throw errnoError(operation, constants.errno.EEXIST, holder);
  }
  await deleteAltNames(from.netlink, link, link.altNames);
  try {
    await request(from, link, to, operation).catch((error: unknown) => {
      if (to.index === undefined || !hasErrno(error, 'EBUSY')) {
        throw error;
      }
      const { index: _taken, ...anyIndex } = to;
      return request(from, link, anyIndex, operation);
    });
  } catch (error) {
    await takeBack(from, link, to.netns);
    for (const name of link.altNames) {
      await addAltName(from.netlink, link, name).catch(() => undefined); // whoever undoes this tries again, and says so
    }
    throw await explain(error, (code) => whyNotMoved(code, from, link, to));
  }
  const moved = await findDevice(to.netns.netlink, to.name);
  if (moved === undefined) {
    throw new Error(`cannot find link "${to.name}" just moved to "${to.netns.path}"`);
  }
  return moved;
}

/** What can be seen of a link that the kernel did not move. */
async function whyNotMoved(code: string, from: Netns, link: DeviceFacts, to: Destination): Promise<string | undefined> {
  if (code === 'EEXIST') {
    return holderOf(to.netns.netlink, to.name);
  }
  return code === 'EINVAL' && !(await isMovable(from.netlink, link.index))
    ? `a ${link.kind || 'device of this kind'} belongs to its namespace`
    : undefined;
}

/**
 * Is this the same device, wherever it is and whatever it is called? A piece of hardware is known by its place on the
 * bus, and one of its ports by the address burnt in; a virtual link by its kind and address.
 */
export function isSameDevice(one: DeviceFacts, other: DeviceFacts): boolean {
  if (one.parentDev !== other.parentDev || one.permanentMac !== other.permanentMac || one.kind !== other.kind) {
    return false;
  }
  return (
    one.parentDev !== '' ||
    one.permanentMac !== '' ||
    (one.mac === '' ? one.name : one.mac) === (other.mac === '' ? other.name : other.mac)
  );
}

/**
 * The device among others. Some drivers choose another burnt-in address at each reset (igbvf): then the only device at
 * that place on the bus is it.
 */
export function findSame(devices: readonly DeviceFacts[], device: DeviceFacts): DeviceFacts | undefined {
  const atPlace = device.parentDev === '' ? [] : devices.filter(({ parentDev }) => parentDev === device.parentDev);
  return devices.find((other) => isSameDevice(other, device)) ?? (atPlace.length === 1 ? atPlace[0] : undefined);
}

function request(from: Netns, link: DeviceFacts, { netns, name, alias, index }: Destination, operation: string) {
  const attributes = {
    netNsFd: netns.descriptor,
    ifName: name,
    ...(alias === undefined ? {} : { ifAlias: alias }),
    ...(index === undefined ? {} : { newIfIndex: index }),
  };
  const body = encodeLink({ index: link.index }, attributes);
  return from.netlink.change({ isSlow: true, type: RTM_SETLINK, body, operation, whenDone: 'ENODEV' });
}

/** The kernel moves first and renames then: when the second part fails, the link is there, under the name it had here. */
async function takeBack(from: Netns, link: DeviceFacts, there: Netns): Promise<void> {
  const here = await findDeviceByIndex(from.netlink, link.index);
  if (here !== undefined && isSameDevice(here, link)) {
    return;
  }
  const stray = await findDevice(there.netlink, link.name);
  if (stray !== undefined && isSameDevice(stray, link)) {
    const back = { netns: from, name: link.name, alias: link.alias };
    await request(there, stray, back, `move link "${link.name}" back to namespace "${from.path}"`);
  }
}

/**
 * Renames a link. It is set down for that: kernels before 6.2 rename nothing that is up.
 *
 * @returns the link under its new name
 * @throws ErrnoError EEXIST when something in the namespace has the name
 */
export async function renameLink(netns: Netns, link: DeviceFacts, name: string): Promise<DeviceFacts> {
  if (link.isUp) {
    await setDown(netns.netlink, link);
  }
  if (link.altNames.includes(name)) {
    await deleteAltName(netns.netlink, link, name);
  }
  await change(netns.netlink, link, { ifName: name }, `set the name "${name}"`);
  return { ...link, name, isUp: false, altNames: link.altNames.filter((other) => other !== name) };
}
