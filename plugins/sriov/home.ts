import { CniError, runAll } from '../../lib/cni/errors.ts';
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
import type { VisibleVf } from './discover.ts';
import type { InterfaceLocation } from './give-back.ts';
import { findInterface, isInterfaceOf, setMacVerified } from './identity.ts';
import type { SriovRecord } from './record.ts';
import { isRefusal, logRefusal, RETRY_PAUSES, retryTransient } from './retry.ts';

/** The kernel takes a moment to return the devices of a dead namespace. */
const RETURN_MS = 3_000;

/**
 * Moves the VF's interface back to the host, from a pod or from under the name that the kernel left it with, and
 * restores it. Idempotent.
 *
 * @param location namespaces in which it may be; dead ones are skipped
 * @throws CniError, ErrnoError; tryAgainLater when it is in none of them, nor here
 */
export async function bringHome(
  scope: Scope,
  seen: VisibleVf,
  record: SriovRecord,
  location: InterfaceLocation,
): Promise<void> {
  if (record.before.name === '') {
    return; // it had a userspace driver
  }
  const home = (await moveOutOfPod(scope, record, location)) ?? (await awaitReturn(scope, seen, record));
  if (home !== undefined) {
    await restoreInterface(scope, record, home);
  }
}

async function moveOutOfPod(
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

/** Restores its own address before it appears on the host. */
async function moveHome(scope: Scope, record: SriovRecord, from: Netns, away: DeviceFacts): Promise<DeviceFacts> {
  await setDown(from.netlink, away);
  const quiet = scopeWith(scope, () => ({ log: () => undefined }));
  await restoreMacAndMtu(quiet, record, from, away).catch(() => undefined); // and again when it is here
  const restored = (await findDeviceByIndex(from.netlink, away.index)) ?? away;
  const name = await freeName(scope, record, restored);
  const index = record.own?.device?.index;
  return moveLink(from, restored, { netns: scope.node.host, name, ...(index === undefined ? {} : { index }) });
}

/** Its former name or, if that has been taken, one as the kernel would choose: pod deletion must not hang. */
async function freeName(scope: Scope, { before }: SriovRecord, device: DeviceFacts): Promise<string> {
  const other = await findDevice(scope.node.host.netlink, before.name);
  if (other === undefined || (other.index === device.index && other.parentDev === device.parentDev)) {
    return before.name;
  }
  const name = `dev${device.index}`;
  scope.log(`link "${device.name}" comes back as "${name}": link "${other.name}" now has the name "${before.name}"`);
  return name;
}

async function awaitReturn(scope: Scope, seen: VisibleVf, record: SriovRecord): Promise<DeviceFacts | undefined> {
  const driver = driverOf(seen.device);
  if (driver === undefined || isUserspace(seen.device)) {
    scope.log(
      `VF "${record.deviceId}" no longer has an interface: ${driver === undefined ? 'no driver is bound to it' : `its driver is ${driver}`}`,
    );
    return undefined;
  }
  const look = async (): Promise<DeviceFacts | undefined> => {
    const devices = await mapInTurn(netNamesOf(seen.device), (name) => findDevice(scope.node.host.netlink, name));
    return devices.find((device) => device !== undefined && isInterfaceOf(device, record));
  };
  const found = await poll(scope, RETURN_MS, RETRY_PAUSES, look);
  if (found === undefined) {
    throw new CniError(
      'tryAgainLater',
      `cannot move VF "${record.deviceId}" back: its interface is neither on the host nor in the pod's namespace; a leftover process may be holding that namespace`,
    );
  }
  return found;
}

async function restoreInterface(scope: Scope, record: SriovRecord, found: DeviceFacts): Promise<void> {
  const device = await renameBack(scope, record, found);
  await runAll([
    () => restoreMacAndMtu(scope, record, scope.node.host, device),
    async () => {
      const now = (await findDeviceByIndex(scope.node.host.netlink, device.index)) ?? device;
      const kept = { index: now.index, addresses: [], routes: [], rules: [] };
      const picture = { device: pictureOf(record, now), master: '', kept };
      for (const fault of await restorePicture(scope.node.host, now, picture)) {
        scope.log(`cannot fully restore link "${now.name}": ${fault}`);
      }
    },
  ]);
}

/** What the Go plugin did not record stays, except promiscuous and all-multicast mode; the link goes down. */
function pictureOf({ own, before }: SriovRecord, now: DeviceFacts): DeviceFacts {
  if (own?.device !== undefined) {
    return { ...now, ...own.device, mac: now.mac, mtu: now.mtu }; // records of our older versions may lack keys
  }
  const none = Buffer.alloc(0);
  const flags = now.flags & ~(IFF_UP | IFF_PROMISC | IFF_ALLMULTI);
  return { ...now, name: before.name, flags, inetConf: none, inet6Conf: none };
}

async function renameBack(scope: Scope, record: SriovRecord, device: DeviceFacts): Promise<DeviceFacts> {
  if (device.name === record.before.name) {
    return device;
  }
  const name = await freeName(scope, record, device);
  return name === record.before.name ? renameLink(scope.node.host, device, name) : device;
}

/** Restores hardware address and MTU if the driver accepts them: an administrative address may prevent it. */
async function restoreMacAndMtu(
  scope: Scope,
  { before }: SriovRecord,
  netns: Netns,
  device: DeviceFacts,
): Promise<void> {
  const { mac, mtu } = before;
  const back = (work: () => Promise<unknown>): Promise<void> =>
    logRefusal(scope.log, `link "${device.name}"`, isRefusal, work);
  await runAll([
    async () => {
      if (mac !== '' && mac !== device.mac) {
        await back(() => setMacVerified(netns.netlink, device, mac, scope));
      }
    },
    async () => {
      if (mtu !== 0 && mtu !== device.mtu) {
        await back(() => retryTransient(scope, () => setMtu(netns.netlink, device, mtu)));
      }
    },
  ]);
}
