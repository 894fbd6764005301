import type { AttachmentCall, PodCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { identityOf } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import type { Undo } from '../../lib/cni/undo.ts';
import type { DeviceFacts } from '../../lib/link/device.ts';
import { moveLink } from '../../lib/link/moving.ts';
import { findLink } from '../../lib/link/observe.ts';
import { takePicture } from '../../lib/link/picture.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { incarnationOf } from '../../lib/sys/bus-device.ts';
import type { HostDeviceConf } from './config.ts';
import { bringHome } from './home.ts';
import { type DeviceRecord, nameOf, type Records } from './record.ts';

/** The device that ADD moved into the pod. */
export interface TakenDevice {
  /** the device, in the pod */
  readonly device: DeviceFacts;
  readonly record: DeviceRecord;
}

/**
 * Records the state of a device that the caller has claimed, then moves it into the pod and renames it to CNI_IFNAME in
 * one step.
 *
 * @throws CniError, ErrnoError; `undo` restores it
 */
export async function takeDevice(
  call: PodCall<HostDeviceConf>,
  scope: Scope,
  device: DeviceFacts,
  { netns, records, undo }: { readonly netns: Netns; readonly records: Records; readonly undo: Undo },
): Promise<TakenDevice> {
  const record: DeviceRecord = {
    network: call.network,
    containerId: call.containerId,
    ifName: call.ifName,
    netns: call.netnsPath,
    namespace: identityOf(scope, netns),
    incarnation: incarnationOf(device.parentDev, scope.node.sysfs),
    restore: call.conf.restore,
    picture: await takePicture(scope.node.host, device),
  };
  undo.push('bring the device home', async (unending) => {
    if (await bringHome(unending, { ...record, restore: true }, netns)) {
      records.remove(nameOf(record));
    }
  });
  records.write(nameOf(record), record);
  const destination = { netns, name: call.ifName, alias: device.name };
  return { device: await moveLink(scope.node.host, device, destination), record };
}

/** @throws CniError internal when the pod already has an interface of that name */
export async function refuseTakenName({ ifName }: AttachmentCall<unknown>, netns: Netns): Promise<void> {
  if ((await findLink(netns.netlink, ifName)) !== undefined) {
    throw new CniError('internal', `cannot add interface "${ifName}": it already exists in "${netns.path}"`);
  }
}
