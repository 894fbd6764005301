import type { PodCall } from '../../lib/cni/call.ts';
import { checkFailed, ownInterface, ownPart, previousResult } from '../../lib/cni/previous.ts';
import { planAddresses } from '../../lib/link/addressing.ts';
import { checkAddresses } from '../../lib/link/check.ts';
import { type DeviceFacts, findDevice } from '../../lib/link/device.ts';
import { isSameDevice } from '../../lib/link/moving.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import type { HostDeviceConf } from './config.ts';
import type { DeviceRecord } from './record.ts';

/**
 * Compares the device in the pod with the result of ADD and with its record.
 *
 * @param record undefined for an attachment made by the Go plugin
 * @throws CniError internal naming what differs
 */
export async function checkDevice(
  call: PodCall<HostDeviceConf>,
  netns: Netns,
  record: DeviceRecord | undefined,
): Promise<void> {
  const previous = previousResult(call);
  const own = ownInterface(previous, call);
  const device = await findDevice(netns.netlink, call.ifName);
  if (device === undefined) {
    throw checkFailed(`link "${call.ifName}" is missing in the container`);
  }
  const fault = faultOf(device, own.mac, record);
  if (fault !== undefined) {
    throw checkFailed(`link "${device.name}" ${fault}`);
  }
  await checkAddresses(netns.netlink, device, planAddresses(ownPart(previous, own), device.name));
}

function faultOf(device: DeviceFacts, mac: string | undefined, record: DeviceRecord | undefined): string | undefined {
  if (mac !== undefined && mac !== '' && device.mac !== mac.toLowerCase()) {
    return `has hardware address ${device.mac}, not ${mac.toLowerCase()}`;
  }
  const was = record?.picture.device;
  if (was !== undefined && device.alias !== was.name && !isSameDevice(device, was)) {
    return `is not the device formerly named "${was.name}"`;
  }
  if (device.alias === '') {
    return 'has lost its alias, which is its name on the host';
  }
  return device.isUp ? undefined : 'is down';
}
