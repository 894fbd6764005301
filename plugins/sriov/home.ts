import { CniError, doAll } from '../../lib/cni/errors.ts';
import { reopenIfHere } from '../../lib/cni/sandbox.ts';
import { type Scope, scopeWith } from '../../lib/cni/scope.ts';
import { type DeviceFacts, findDevice, findDeviceByIndex, setDown, setMtu } from '../../lib/link/device.ts';
import { moveLink, renameLink } from '../../lib/link/moving.ts';
import { restorePicture } from '../../lib/link/picture.ts';
import { IFF_ALLMULTI, IFF_PROMISC, IFF_UP } from '../../lib/netlink/codec/link.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { driverOf, isUserspace, netNamesOf } from '../../lib/sys/bus-device.ts';
import { poll } from '../../lib/sys/clock.ts';
import { mapInTurn } from '../../lib/sys/in-turn.ts';
import type { Seen } from './discover.ts';
import type { InterfaceLocation } from './give-back.ts';
import { findInterface, isInterfaceOf, wearMac } from './identity.ts';
import { isRefusal, orLog, patiently, RHYTHM } from './patience.ts';
import type { SriovRecord } from './record.ts';

/** The kernel takes a moment to bring devices of a namespace back that has ended. */
const RETURN_MS = 3_000;

/**
 * Brings the VF's interface home, out of a pod or from under the name that the kernel left it with, and makes it what
 * it was. Can be called again after any crash: what is so already is passed over.
 *
 * @param location namespaces in which it may be; those that are gone are passed over
 * @throws CniError, ErrnoError; tryAgainLater when it is in none of them, nor here
 */
export async function bringHome(
  scope: Scope,
  seen: Seen,
  record: SriovRecord,
  location: InterfaceLocation,
): Promise<void> {
  if (record.before.name === '') {
    return; // a program had the VF
  }
  const home = (await fetchFrom(scope, record, location)) ?? (await awaitHere(scope, seen, record));
  if (home !== undefined) {
    await makeAsBefore(scope, record, home);
  }
}

async function fetchFrom(
  scope: Scope,
  record: SriovRecord,
  { sandboxes, ifName }: InterfaceLocation,
): Promise<DeviceFacts | undefined> {
  for (const sandbox of sandboxes) {
    using netns = await reopenIfHere(scope, sandbox);
    const away =
      netns?.isSameAs(scope.node.host) === false ? await findInterface(netns.netlink, ifName, record) : undefined;
    if (netns !== undefined && away !== undefined) {
      return await moveHome(scope, record, netns, away);
    }
  }
  return undefined;
}

/** It gets its own address back before it is seen here. */
async function moveHome(scope: Scope, record: SriovRecord, from: Netns, away: DeviceFacts): Promise<DeviceFacts> {
  await setDown(from.netlink, away);
  const silent = scopeWith(scope, () => ({ log: () => undefined }));
  await dress(silent, record, from, away).catch(() => undefined); // and again when it is here
  const dressed = (await findDeviceByIndex(from.netlink, away.index)) ?? away;
  const name = await freeName(scope, record, dressed);
  const index = record.own?.device?.index;
  return moveLink(from, dressed, { netns: scope.node.host, name, ...(index === undefined ? {} : { index }) });
}

/** Its name, or one that the kernel would choose when somebody else has that by now: a pod must be able to go. */
async function freeName(scope: Scope, { before }: SriovRecord, device: DeviceFacts): Promise<string> {
  const other = await findDevice(scope.node.host.netlink, before.name);
  if (other === undefined || (other.index === device.index && other.parentDev === device.parentDev)) {
    return before.name;
  }
  const name = `dev${device.index}`;
  scope.log(`link "${device.name}" comes home as "${name}": link "${other.name}" is called "${before.name}" now`);
  return name;
}

async function awaitHere(scope: Scope, seen: Seen, record: SriovRecord): Promise<DeviceFacts | undefined> {
  const driver = driverOf(seen.device);
  if (driver === undefined || isUserspace(seen.device)) {
    scope.log(`VF "${record.deviceId}" has no interface any more: its driver is ${driver ?? 'unbound'}`);
    return undefined;
  }
  const look = async (): Promise<DeviceFacts | undefined> => {
    const devices = await mapInTurn(netNamesOf(seen.device), (name) => findDevice(scope.node.host.netlink, name));
    return devices.find((device) => device !== undefined && isInterfaceOf(device, record));
  };
  const found = await poll(scope, RETURN_MS, RHYTHM, look);
  if (found === undefined) {
    throw new CniError(
      'tryAgainLater',
      `cannot bring VF "${record.deviceId}" home: its interface is neither here nor in the pod's namespace; a process may keep the namespace of a pod that has ended`,
    );
  }
  return found;
}

async function makeAsBefore(scope: Scope, record: SriovRecord, found: DeviceFacts): Promise<void> {
  const device = await callByName(scope, record, found);
  await doAll([
    () => dress(scope, record, scope.node.host, device),
    async () => {
      const now = (await findDeviceByIndex(scope.node.host.netlink, device.index)) ?? device;
      const kept = { index: now.index, addresses: [], routes: [], rules: [] };
      const picture = { device: pictureOf(record, now), master: '', kept };
      for (const fault of await restorePicture(scope.node.host, now, picture)) {
        scope.log(`link "${now.name}" is not quite as it was: ${fault}`);
      }
    },
  ]);
}

/** What the Go plugin did not record stays as it is, but for what pods turn on; and the link is down. */
function pictureOf({ own, before }: SriovRecord, now: DeviceFacts): DeviceFacts {
  if (own?.device !== undefined) {
    return { ...now, ...own.device, mac: now.mac, mtu: now.mtu }; // a record of an older version of ours may say less
  }
  const none = Buffer.alloc(0);
  const flags = now.flags & ~(IFF_UP | IFF_PROMISC | IFF_ALLMULTI);
  return { ...now, name: before.name, flags, inetConf: none, inet6Conf: none };
}

async function callByName(scope: Scope, record: SriovRecord, device: DeviceFacts): Promise<DeviceFacts> {
  if (device.name === record.before.name) {
    return device;
  }
  const name = await freeName(scope, record, device);
  return name === record.before.name ? renameLink(scope.node.host, device, name) : device;
}

/** Hardware address and MTU, if the driver takes them back: an administrative address may have been set since it had its own. */
async function dress(scope: Scope, { before }: SriovRecord, netns: Netns, device: DeviceFacts): Promise<void> {
  const { mac, mtu } = before;
  const back = (work: () => Promise<unknown>): Promise<void> =>
    orLog(scope.log, `link "${device.name}"`, isRefusal, work);
  await doAll([
    async () => {
      if (mac !== '' && mac !== device.mac) {
        await back(() => wearMac(netns.netlink, device, mac, scope));
      }
    },
    async () => {
      if (mtu !== 0 && mtu !== device.mtu) {
        await back(() => patiently(scope, () => setMtu(netns.netlink, device, mtu)));
      }
    },
  ]);
}
