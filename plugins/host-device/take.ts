import { CniError, doAll } from '../../lib/cni/errors.ts';
import type { Call, Host } from '../../lib/cni/plugin.ts';
import type { Undo } from '../../lib/cni/undo.ts';
import { type DeviceFacts, setAlias } from '../../lib/link/device.ts';
import { dropCollidingAltNames, isSameDevice, moveLink, renameLink } from '../../lib/link/moving.ts';
import { findLink } from '../../lib/link/observe.ts';
import { takePicture } from '../../lib/link/picture.ts';
import { ifNameFault } from '../../lib/net/if-name.ts';
import { IFF_LOOPBACK } from '../../lib/netlink/codec/link.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import type { HostDeviceConf } from './config.ts';
import { bringHome, findHome, makeAsItWas, openRecorded } from './home.ts';
import { type DeviceRecord, listRecords, recordFolder, removeRecord, writeRecord } from './record.ts';
import { findWanted, selectorText, type Wanted } from './select.ts';

/** What ADD has taken from the node. */
export interface Taken {
  /** the device, in the pod */
  readonly device: DeviceFacts;
  readonly record: DeviceRecord;
}

/**
 * Takes a device into the pod: remembers what it is, then moves it and calls it CNI_IFNAME in one step.
 *
 * @throws CniError, ErrnoError; `undo` brings it home as it was
 */
export async function takeDevice(
  call: Call<HostDeviceConf>,
  host: Host,
  wanted: Wanted,
  netns: Netns,
  undo: Undo,
): Promise<Taken> {
  if ((await findLink(netns.netlink, call.ifName)) !== undefined) {
    throw new CniError('internal', `cannot add interface "${call.ifName}": it already exists in "${netns.path}"`);
  }
  const folder = recordFolder(call.conf.dataDir);
  const device = await findHere(host, wanted, folder, call.ifName);
  if ((device.flags & IFF_LOOPBACK) !== 0) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use ${selectorText(wanted)}: every namespace has its own loopback`,
    );
  }
  const record: DeviceRecord = {
    network: call.network,
    containerId: call.containerId,
    ifName: call.ifName,
    netns: call.netnsPath,
    restore: call.conf.restore,
    picture: await takePicture(host.netns, device),
  };
  undo.push('bring the device home', () => putBack(host, folder, { ...record, restore: true }, netns));
  writeRecord(folder, record);
  const destination = { netns, name: call.ifName, alias: device.name };
  await dropCollidingAltNames(host.netns, device, destination);
  return { device: await moveLink(host.netns, device, destination), record };
}

/** A device that a record says is in a pod, and that is here, is made what it was first. */
async function findHere(host: Host, wanted: Wanted, folder: string, ifName: string): Promise<DeviceFacts> {
  const place = { netlink: host.netns.netlink, sysfs: host.sysfs };
  const found = await findWanted(wanted, place);
  const records = listRecords(folder, host.log).filter(
    ({ picture }) => found === undefined || isSameDevice(picture.device, found),
  );
  if (found !== undefined && found.alias === '' && records.length === 0) {
    return found;
  }
  await doAll(records.map((record) => () => settle(host, folder, record)));
  const again = await findWanted(wanted, place);
  if (again === undefined) {
    throw new CniError(
      'internal',
      `cannot find ${selectorText(wanted)}: no such interface in this namespace; a pod may have it`,
    );
  }
  return trueName(host.netns, again, ifName);
}

/** Brings devices home from where they are, and forgets them. */
export const bringAllHome = (host: Host, folder: string, records: readonly DeviceRecord[]): Promise<void> =>
  doAll(
    records.map((record) => async () => {
      using netns = openRecorded(host, record);
      await putBack(host, folder, record, netns);
    }),
  );

async function putBack(host: Host, folder: string, record: DeviceRecord, from: Netns | undefined): Promise<void> {
  if (await bringHome(host, record, from)) {
    removeRecord(folder, record);
  }
}

/**
 * The kernel left the device here when its pod died, the Go plugin's DEL brought it, or a call of ours was killed. Whether
 * the pod lives does not matter: the device is not in it.
 */
async function settle(host: Host, folder: string, record: DeviceRecord): Promise<void> {
  const here = await findHome(host, record);
  if (here !== undefined) {
    await makeAsItWas(host, here, record);
    removeRecord(folder, record);
  }
}

export function isDead(host: Host, record: DeviceRecord): boolean {
  using netns = openRecorded(host, record);
  return netns === undefined;
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
