import { messageOf } from '../cni/errors.ts';
import { type ConfFamily, differingSettings } from '../netlink/codec/family-conf.ts';
import { IFF_ALLMULTI, IFF_MULTICAST, IFF_NOARP, IFF_PROMISC, IFF_UP } from '../netlink/codec/link.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import type { Netns } from '../netns/netns.ts';
import { flatMapInTurn } from '../sys/in-turn.ts';
import { restorePort, restorePortCost, savePort } from './bridge-port.ts';
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
import { setGroup } from './link.ts';
import { findLink } from './observe.ts';
import { restoreAddresses, restoreRoutes, restoreRules } from './restore.ts';
import { type NetworkState, nexthopsLost, saveState } from './saved-state.ts';

const MODES = IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST | IFF_NOARP;

/** All that a namespace knows of a device, so that it can be as it was when it comes back. */
export interface Picture {
  readonly device: DeviceFacts;
  /** name of what it is enslaved to; '' when it is not */
  readonly master: string;
  /** what that keeps of it when it is a bridge */
  readonly port?: Buffer | undefined;
  readonly kept: NetworkState;
}

/** @throws ErrnoError */
export async function takePicture(netns: Netns, device: DeviceFacts): Promise<Picture> {
  const { masterIndex } = device;
  const master = masterIndex === undefined ? undefined : await findDeviceByIndex(netns.netlink, masterIndex);
  const port = device.slaveKind === 'bridge' ? await savePort(netns.netlink, device.index) : undefined;
  return {
    device,
    master: master?.name ?? '',
    ...(port === undefined ? {} : { port }),
    kept: await saveState(netns.netlink, device.index),
  };
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
    () => restoreMaster(netns, device, picture),
    () => restoreSettings(netns, device, was),
    () => setFlags(netlink, device, was.flags, IFF_UP),
    () => restoreSettings(netns, device, was), // going up has changed some: the MTU of IPv6
    () => restoreAddresses(netlink, picture.kept, device.index), // now: of one with a peer the kernel makes a route once
    () => restoreRules(netlink, picture.kept),
    () => restoreRoutes(netlink, picture.kept, device.index),
    async () => nexthopsLost(picture.kept),
    () => restoreCost(netns, device, picture),
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

/** They stay at home while a device is away. */
export async function restoreAltNames(netns: Netns, device: DeviceFacts, was: DeviceFacts): Promise<void> {
  for (const name of device.altNames.filter((one) => !was.altNames.includes(one))) {
    await deleteAltName(netns.netlink, device, name);
  }
  for (const name of was.altNames.filter((one) => !device.altNames.includes(one))) {
    await giveAltName(netns.netlink, device, name);
  }
}

/** udev gives a device its names too, as soon as it sees it. */
async function giveAltName(netlink: Conversation, device: DeviceFacts, name: string): Promise<void> {
  try {
    await addAltName(netlink, device, name);
  } catch (error) {
    if (!hasErrno(error, 'EEXIST') || (await findLink(netlink, name))?.index !== device.index) {
      throw error;
    }
  }
}

/**
 * A port without its settings and VLANs could reach whom it could not before: when the bridge does not take them, it
 * stays out.
 */
async function restoreMaster(
  { netlink }: Netns,
  device: DeviceFacts,
  { master, port }: Picture,
): Promise<readonly string[]> {
  if (master === '') {
    return [];
  }
  const link = await findLink(netlink, master);
  if (link === undefined) {
    return [`it is not enslaved to "${master}" any more: there is no such link`];
  }
  await change(netlink, device, { master: link.index }, `set the master "${master}"`);
  try {
    if (port !== undefined) {
      await restorePort(netlink, device, port);
    }
    return [];
  } catch (error) {
    await change(netlink, device, { master: 0 }, 'take away the master');
    return [`it stays out of bridge "${master}": ${messageOf(error)}`];
  }
}

async function restoreCost({ netlink }: Netns, device: DeviceFacts, { port }: Picture): Promise<void> {
  const now = port === undefined ? undefined : await findDeviceByIndex(netlink, device.index);
  if (port !== undefined && now?.slaveKind === 'bridge') {
    await restorePortCost(netlink, device, port);
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
