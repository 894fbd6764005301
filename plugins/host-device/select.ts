import { readdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { type DeviceFacts, findDevice } from '../../lib/link/device.ts';
import { findByMac } from '../../lib/link/movable.ts';
import { macOf } from '../../lib/net/mac.ts';
import { IFF_LOOPBACK } from '../../lib/netlink/codec/link.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';
import {
  type BusDevice,
  driverOf,
  findBusDevice,
  findPciDevice,
  isUserspace,
  netNamesOf,
} from '../../lib/sys/bus-device.ts';
import type { HostDeviceConf } from './config.ts';

/** Where to look for devices. */
export interface Place {
  readonly netlink: Conversation;
  readonly sysfs: string;
}

/** The configured device. That it is on its bus does not mean that its link is in this namespace. */
export interface Wanted {
  readonly conf: HostDeviceConf;
  readonly bus: BusDevice | undefined;
  /** bound to a userspace driver: there is no link */
  readonly isUserspace: boolean;
}

/**
 * Reads the selectors and looks the device up on its bus.
 *
 * @throws CniError invalidNetworkConfig when no selector is given, or an invalid one; internal when the bus has no such
 * device, or no driver is bound to it
 */
export function resolveSelector(conf: HostDeviceConf, sysfs: string): Wanted {
  const id = conf.runtimeConfig?.deviceID ?? '';
  if (id === '' && [conf.device, conf.hwaddr, conf.kernelpath, conf.pciBusID].every((key) => key === '')) {
    throw new CniError(
      'invalidNetworkConfig',
      'cannot choose a device: specify either "device", "hwaddr", "kernelpath" or "pciBusID"',
    );
  }
  const bus = busDeviceOf(conf, id, sysfs);
  if (bus?.bus === 'pci' && driverOf(bus) === undefined) {
    throw new CniError('internal', `cannot use device "${bus.name}": no driver is bound to it`);
  }
  return { conf, bus, isUserspace: bus?.bus === 'pci' && isUserspace(bus) };
}

/**
 * Finds the device by the strongest selector: name, hardware address, folder in sysfs, bus.
 *
 * @returns undefined when it is not in this namespace
 * @throws CniError invalidNetworkConfig when a selector is invalid or ambiguous
 */
export async function findSelected({ conf, bus }: Wanted, { netlink, sysfs }: Place): Promise<DeviceFacts | undefined> {
  if (conf.device !== '') {
    return findDevice(netlink, conf.device);
  }
  if (conf.hwaddr !== '') {
    return findByHwaddr(netlink, conf.hwaddr);
  }
  if (conf.kernelpath !== '') {
    return findFirst(netlink, netNamesIn(conf.kernelpath, sysfs));
  }
  return findFirst(netlink, bus === undefined ? [] : netNamesOf(bus));
}

/** The selector as text for people: `"pciBusID" "0000:65:02.3"`. */
export function selectorText({ conf, bus }: Wanted): string {
  const keys = ['device', 'hwaddr', 'kernelpath'] as const;
  const key = keys.find((name) => conf[name] !== '');
  return key === undefined ? `device "${bus?.name ?? ''}"` : `"${key}" ${JSON.stringify(conf[key])}`;
}

function busDeviceOf(conf: HostDeviceConf, id: string, sysfs: string): BusDevice | undefined {
  const [text, key] = id === '' ? [conf.pciBusID, 'pciBusID'] : [id, 'runtimeConfig.deviceID'];
  if (text === '') {
    return undefined;
  }
  const found = id === '' ? findPciDevice(text, key, sysfs) : findBusDevice(text, key, sysfs);
  if (found === undefined) {
    throw new CniError('internal', `cannot find "${key}" ${JSON.stringify(text)}: no such device on its bus`);
  }
  return found;
}

/**
 * A bridge has the address of one of its ports, a VLAN that of its lower device. Prefers devices that can move, among
 * them the one whose permanent address it is, else the only hardware device.
 */
async function findByHwaddr(netlink: Conversation, text: string): Promise<DeviceFacts | undefined> {
  const mac = macOf(text);
  if (mac === undefined) {
    throw invalid(`cannot use "hwaddr" ${JSON.stringify(text)}: not a hardware address`);
  }
  const found = await findByMac(netlink, mac);
  const movable = found.filter(({ isMovable }) => isMovable).map(({ device }) => device);
  const born = movable.filter(({ permanentMac }) => permanentMac === mac);
  const hardware = movable.filter(({ kind }) => kind === '');
  const likeliest = [born, hardware, movable].find(({ length }) => length > 0) ?? [];
  if (likeliest.length > 1) {
    throw invalid(`cannot select a device by "hwaddr" "${mac}": ${namesOf(likeliest)} have it; set "device" instead`);
  }
  if (likeliest.length === 0 && found.length > 0) {
    throw invalid(
      `cannot use "hwaddr" "${mac}": only ${namesOf(found.map(({ device }) => device))} has it, which cannot change its namespace`,
    );
  }
  return likeliest[0];
}

const namesOf = (devices: readonly DeviceFacts[]): string => devices.map(nameOf).join(', ');

function nameOf({ name, kind, flags }: DeviceFacts): string {
  const what = (flags & IFF_LOOPBACK) === 0 ? kind : 'loopback';
  return what === '' ? `"${name}"` : `"${name}" (${what})`;
}

const invalid = (message: string): CniError => new CniError('invalidNetworkConfig', message);

function netNamesIn(kernelPath: string, sysfs: string): readonly string[] {
  const path = normalize(kernelPath);
  if (!path.startsWith('/sys/devices/')) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "kernelpath" ${JSON.stringify(kernelPath)}: it is not below /sys/devices/`,
    );
  }
  try {
    return readdirSync(join(sysfs, path.slice('/sys'.length), 'net')).sort();
  } catch (error) {
    throw new CniError('internal', `cannot use "kernelpath" "${kernelPath}": ${messageOf(error)}`, { cause: error });
  }
}

/** A PF in switchdev mode also lists its representors; like the Go plugin, take the first name. */
async function findFirst(netlink: Conversation, names: readonly string[]): Promise<DeviceFacts | undefined> {
  const [name] = names;
  return name === undefined ? undefined : findDevice(netlink, name);
}
