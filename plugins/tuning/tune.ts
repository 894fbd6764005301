import type { PodCall } from '../../lib/cni/call.ts';
import { CniError, messageOf, runAll } from '../../lib/cni/errors.ts';
import type { Result } from '../../lib/cni/result.ts';
import { identityOf } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { type DeviceFacts, findDevice, findDeviceByIndex } from '../../lib/link/device.ts';
import { findLinkByIndex } from '../../lib/link/observe.ts';
import {
  changeSettings,
  hasSettings,
  type LinkSettings,
  oneByOne,
  settingsLike,
  settingsMissing,
  settingsOf,
  settingsText,
} from '../../lib/link/settings.ts';
import { ErrnoError, hasErrno, NoAnswer } from '../../lib/netlink/errno.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { diskFor } from '../../lib/sys/disk.ts';
import { dataDirOf, type TuningConf } from './config.ts';
import { type Plan, planTuning, refuseUnfit, resultOf } from './plan.ts';
import { nameOf, type Records, readRecord, recordsIn, type TuningRecord } from './record.ts';
import { setSysctls } from './sysctls.ts';
import type { Wishes } from './wishes.ts';

/**
 * Gives the interface what is asked for. What it had is on disk before it changes, so that DEL can put it back whenever
 * the call is killed.
 *
 * @throws CniError, ErrnoError; everything is as it was then
 */
export async function tune(
  call: PodCall<TuningConf>,
  { settings, sysctls }: Wishes,
  previous: Result,
  scope: Scope,
): Promise<Result> {
  const records = recordsIn(dataDirOf(call.conf));
  using netns = scope.node.openNetns(call.netnsPath);
  await using undo = new Undo(scope);
  const device = hasSettings(settings) ? await findOwn(netns, call.ifName) : undefined;
  const earlier = device && readRecord(records, call, scope.log);
  const plan = device && planFor(call, { device, netns, earlier, settings, previous }, scope);
  if (device !== undefined && plan?.record !== undefined) {
    const { durable } = await records.place(diskFor(records.path, scope.node.disk), nameOf(call), plan.record);
    undo.push('forget what the interface had', (unending) =>
      forget(records, call, { device, netns, earlier }, unending),
    );
    await durable;
  }
  setSysctls(netns, sysctls, undo);
  if (device !== undefined && plan !== undefined) {
    await change({ netns, host: scope.node.host }, device, plan, undo);
  }
  undo.commit();
  return resultOf(previous, call, settings);
}

/** @throws CniError invalidNetworkConfig */
export async function findOwn({ netlink }: Netns, ifName: string): Promise<DeviceFacts> {
  const device = await findDevice(netlink, ifName);
  if (device === undefined) {
    throw new CniError('internal', `cannot find link "${ifName}" in the container`);
  }
  return device;
}

interface Found {
  readonly device: DeviceFacts;
  readonly netns: Netns;
  readonly earlier: TuningRecord | undefined;
}

function planFor(
  call: PodCall<TuningConf>,
  {
    device,
    netns,
    earlier,
    settings,
    previous,
  }: Found & { readonly settings: LinkSettings; readonly previous: Result },
  scope: Scope,
): Plan {
  const there = settingsOf(device);
  refuseUnfit(settings, there, previous);
  const { network, containerId, ifName, netnsPath } = call;
  const owner = {
    ...{ network, containerId, ifName },
    ...{ netns: netnsPath, namespace: identityOf(scope, netns), link: device.index },
  };
  return planTuning(settings, { there, earlier, owner });
}

/** The record that was there before is there again, unless the interface could not be given back what it had. */
async function forget(
  records: Records,
  call: PodCall<TuningConf>,
  { device, netns, earlier }: Found,
  scope: Scope,
): Promise<void> {
  const now = await findDeviceByIndex(netns.netlink, device.index);
  const [had, has] = [settingsOf(device), now === undefined ? undefined : settingsOf(now)];
  if (has !== undefined && hasSettings(settingsMissing(had, has))) {
    scope.log(`keep "${records.fileOf(nameOf(call))}" for DEL: "${device.name}" is not as it was`);
  } else if (earlier === undefined) {
    records.remove(nameOf(call));
  } else {
    records.write(nameOf(call), earlier);
  }
}

/** Where a link is, and where its parent may be. */
interface Places {
  readonly netns: Netns;
  readonly host: Netns;
}

/** With one request. Where the kernel refuses it, one by one: the error names the one that is at fault. */
async function change(places: Places, device: DeviceFacts, plan: Plan, undo: Undo): Promise<void> {
  const { netlink } = places.netns;
  const had = settingsLike(settingsOf(device), plan.change);
  undo.push(`give "${device.name}" back ${settingsText(had)}`, () =>
    runAll(oneByOne(had).map((one) => () => changeSettings(netlink, device, one))),
  );
  try {
    await changeSettings(netlink, device, plan.change);
  } catch (error) {
    if (!(error instanceof ErrnoError) || error instanceof NoAnswer) {
      throw error;
    }
    for (const one of oneByOne(plan.change)) {
      await changeOne(places, device, one);
    }
  }
}

async function changeOne(places: Places, device: DeviceFacts, one: LinkSettings): Promise<void> {
  try {
    await changeSettings(places.netns.netlink, device, one);
  } catch (error) {
    const why = await reasonFor(error, places, device, one);
    throw why === undefined ? error : new CniError('internal', `${messageOf(error)}: ${why}`, { cause: error });
  }
}

/** What can be seen of the reason, where the kernel says no more than an errno. */
async function reasonFor(
  error: unknown,
  { netns, host }: Places,
  { parentIndex }: DeviceFacts,
  { mac, mtu }: LinkSettings,
): Promise<string | undefined> {
  if (mac !== undefined) {
    return hasErrno(error, 'EBUSY') ? 'its driver changes it only while the link is down' : undefined;
  }
  if (mtu === undefined || !parentIndex) {
    return undefined;
  }
  const seen = await Promise.all([netns, host].map(({ netlink }) => findLinkByIndex(netlink, parentIndex)));
  const [parent, ...others] = seen.filter((link) => link !== undefined);
  return parent !== undefined && others.length === 0 && parent.mtu < mtu // its index may be that of a link elsewhere too
    ? `parent "${parent.name}" has ${parent.mtu}`
    : undefined;
}
