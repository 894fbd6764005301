import { parseCniArgs } from '../../lib/cni/args.ts';
import type { PodCall } from '../../lib/cni/call.ts';
import { ipamForward } from '../../lib/cni/ipam.ts';
import { checkFailed, ownInterface, ownPart, previousResult } from '../../lib/cni/previous.ts';
import type { Interface } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { planAddresses } from '../../lib/link/addressing.ts';
import { checkAddresses } from '../../lib/link/check.ts';
import { type DeviceFacts, findDevice } from '../../lib/link/device.ts';
import { readVf } from '../../lib/link/vf.ts';
import { describeVf, pendingChanges } from '../../lib/link/vf-change.ts';
import { stateFolder } from './allocations.ts';
import type { SriovConf } from './config.ts';
import { findVf } from './discover.ts';
import { isInterfaceOf } from './identity.ts';
import { planSriov, wantedMacOf } from './plan.ts';
import type { SriovRecord } from './record.ts';
import { nameOf, recordsIn } from './records.ts';

/**
 * CHECK: compares the VF as the pod and as the PF see it.
 *
 * @throws CniError internal naming what differs
 */
export async function checkVf(call: PodCall<SriovConf>, scope: Scope): Promise<void> {
  const { changes } = planSriov(call.conf, wantedMacOf(call.conf, parseCniArgs(call.args, ['MAC'])));
  using netns = scope.node.openNetns(call.netnsPath);
  await ipamForward(call, scope);
  const previous = previousResult(call);
  const own = ownInterface(previous, call);
  const record = recordsIn(stateFolder(call.conf.dataDir)).readOrLog(nameOf(call), scope.log);
  if (record === undefined) {
    throw checkFailed(`no record of interface "${call.ifName}"`);
  }
  const { pf, pfName, number } = findVf(record.deviceId, scope.node.sysfs);
  const wrong = pendingChanges(await readVf(scope.node.host.netlink, { name: pfName, device: pf }, number), changes);
  if (Object.keys(wrong).length > 0) {
    throw checkFailed(`VF ${number} of "${pfName}" does not have ${describeVf(wrong)}`);
  }
  if (record.before.name !== '') {
    const device = await findDevice(netns.netlink, call.ifName);
    if (device === undefined) {
      throw checkFailed(`link "${call.ifName}" is missing in the container`);
    }
    const fault = faultOf(device, own, record);
    if (fault !== undefined) {
      throw checkFailed(`link "${device.name}" ${fault}`);
    }
    await checkAddresses(netns.netlink, device, planAddresses(ownPart(previous, own), device.name));
  }
}

function faultOf(device: DeviceFacts, own: Interface, record: SriovRecord): string | undefined {
  const mac = own.mac?.toLowerCase() ?? '';
  if (!isInterfaceOf(device, record)) {
    return `is not the interface of device "${record.deviceId}"`;
  }
  if (mac !== '' && device.mac !== mac) {
    return `has hardware address ${device.mac}, not ${mac}`;
  }
  if (own.mtu !== undefined && device.mtu !== own.mtu) {
    return `has MTU ${device.mtu}, not ${own.mtu}`;
  }
  return device.isUp ? undefined : 'is down';
}
