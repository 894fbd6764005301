import { messageOf } from '../cni/errors.ts';
import { type ConfFamily, differingSettings } from '../netlink/codec/family-conf.ts';
import { IFF_ALLMULTI, IFF_MULTICAST, IFF_NOARP, IFF_PROMISC, IFF_UP } from '../netlink/codec/link.ts';
import type { Netns } from '../netns/netns.ts';
import { flatMapInTurn } from '../sys/in-turn.ts';
import {
  addAltName,
  change,
  type DeviceFacts,
  deleteAltName,
  findDeviceByIndex,
  setAlias,
  setFlags,
  setMac,
  setMtu,
} from './device.ts';
import { type Kept, keep, restoreAddresses, restoreRoutes, restoreRules } from './kept.ts';
import { setGroup } from './link.ts';
import { findLink } from './observe.ts';

const MODES = IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST | IFF_NOARP;

/** All that a namespace knows of a device, so that it can be as it was when it comes back. */
export interface Picture {
  readonly device: DeviceFacts;
  /** name of what it is enslaved to; '' when it is not */
  readonly master: string;
  readonly kept: Kept;
}

/** @throws ErrnoError */
export async function takePicture(netns: Netns, device: DeviceFacts): Promise<Picture> {
  const { masterIndex } = device;
  const master = masterIndex === undefined ? undefined : await findDeviceByIndex(netns.netlink, masterIndex);
  return { device, master: master?.name ?? '', kept: await keep(netns.netlink, device.index) };
}

/**
 * Makes a device what it was in the picture. It has its name already. Goes on after a failure.
 *
 * @returns what could not be restored
 */
export async function restorePicture(netns: Netns, device: DeviceFacts, picture: Picture): Promise<readonly string[]> {
  const { netlink } = netns;
  const was = picture.device;
  const steps: readonly (() => Promise<unknown>)[] = [
    async () => device.mac === was.mac || was.mac === '' || (await setMac(netlink, device, was.mac)),
    async () => device.mtu === was.mtu || (await setMtu(netlink, device, was.mtu)),
    () => restoreQueue(netns, device, was),
    async () => device.group === was.group || (await setGroup(netlink, device.index, was.group)),
    async () => device.alias === was.alias || (await setAlias(netlink, device, was.alias)),
    () => restoreAltNames(netns, device, was),
    () => setFlags(netlink, device, was.flags, MODES),
    () => restoreMaster(netns, device, picture.master),
    () => restoreSettings(netns, device, was),
    () => setFlags(netlink, device, was.flags, IFF_UP),
    () => restoreSettings(netns, device, was), // going up has changed some: the MTU of IPv6
    () => restoreAddresses(netlink, picture.kept, device.index), // now: of one with a peer the kernel makes a route once
    () => restoreRules(netlink, picture.kept),
    () => restoreRoutes(netlink, picture.kept, device.index),
  ];
  return flatMapInTurn(steps, faultsOf);
}

async function faultsOf(step: () => Promise<unknown>): Promise<readonly string[]> {
  try {
    const faults = await step();
    return Array.isArray(faults) ? faults : [];
  } catch (error) {
    return [messageOf(error)];
  }
}

async function restoreQueue(netns: Netns, device: DeviceFacts, was: DeviceFacts): Promise<void> {
  if (device.txQueueLength !== was.txQueueLength) {
    await change(netns.netlink, device, { txQueueLength: was.txQueueLength }, 'set the queue length');
  }
}

async function restoreAltNames(netns: Netns, device: DeviceFacts, was: DeviceFacts): Promise<void> {
  for (const name of device.altNames.filter((one) => !was.altNames.includes(one))) {
    await deleteAltName(netns.netlink, device, name);
  }
  for (const name of was.altNames.filter((one) => !device.altNames.includes(one))) {
    await addAltName(netns.netlink, device, name);
  }
}

async function restoreMaster(netns: Netns, device: DeviceFacts, master: string): Promise<void> {
  const link = master === '' ? undefined : await findLink(netns.netlink, master);
  if (link !== undefined) {
    await change(netns.netlink, device, { master: link.index }, `set the master "${master}"`);
  }
}

/** Moving gives a link the settings that are the default of the namespace. */
async function restoreSettings(netns: Netns, device: DeviceFacts, was: DeviceFacts): Promise<readonly string[]> {
  const found = (await findDeviceByIndex(netns.netlink, device.index)) ?? device; // the MTU has changed some
  return [
    ...writeSettings(netns, device, 'ipv4', differingSettings('ipv4', was.inetConf, found.inetConf)),
    ...writeSettings(netns, device, 'ipv6', differingSettings('ipv6', was.inet6Conf, found.inet6Conf)),
  ];
}

function writeSettings(
  netns: Netns,
  device: DeviceFacts,
  family: ConfFamily,
  settings: ReturnType<typeof differingSettings>,
): readonly string[] {
  return settings.flatMap(({ name, value }) => {
    try {
      netns.writeSysctl(`net/${family}/conf/${device.name}/${name}`, value);
      return [];
    } catch (error) {
      return [`cannot restore sysctl net.${family}.conf.${device.name}.${name}: ${messageOf(error)}`];
    }
  });
}
