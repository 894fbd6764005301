import type { DeletionCall } from '../../lib/cni/call.ts';
import { lookUp } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type DeviceFacts, findDevice } from '../../lib/link/device.ts';
import { NO_MAC } from '../../lib/link/vf.ts';
import { isPciAddress, netNamesOf } from '../../lib/sys/bus-device.ts';
import { mapInTurn } from '../../lib/sys/in-turn.ts';
import { allocatedTo } from './allocations.ts';
import { inspectVf } from './discover.ts';
import { findInterface } from './identity.ts';
import { DEFAULT_ATTRIBUTES } from './plan.ts';
import type { SriovRecord } from './record.ts';
import { nameOf, type Records } from './records.ts';

/**
 * Substitute for a missing or unreadable record: allocations name the pod's VFs, and one without a record is this
 * attachment's. It will be reset to defaults.
 *
 * @returns undefined when there is none, as when DEL is repeated
 */
export async function recoverRecord(
  call: DeletionCall,
  scope: Scope,
  records: Records,
): Promise<SriovRecord | undefined> {
  const candidates = call.netnsPath === undefined ? [] : allocatedTo(records.path, call.netnsPath);
  const wanted = lookUp(call.document, 'deviceID');
  const others = new Set(
    records
      .list(() => undefined)
      .filter(({ name }) => name !== nameOf(call))
      .map(({ record }) => record.deviceId),
  );
  const left = candidates
    .filter((deviceId) => isPciAddress(deviceId) && !others.has(deviceId))
    .filter((deviceId) => typeof wanted !== 'string' || wanted === '' || wanted.toLowerCase() === deviceId);
  const found = await mapInTurn(left, (deviceId) => recordOf(call, scope, deviceId));
  const record = found.find((one) => one !== undefined);
  if (record !== undefined) {
    scope.log(`VF "${record.deviceId}" has no record: resetting it to defaults`);
  }
  return record;
}

/** @returns undefined when that VF is another interface of the pod */
async function recordOf(call: DeletionCall, scope: Scope, deviceId: string): Promise<SriovRecord | undefined> {
  const record = minimalRecord(call.network, deviceId);
  const away = await interfaceInPod(call, scope, record);
  if (away !== undefined) {
    const before = { ...record.before, name: `dev${away.index}`, mac: away.permanentMac };
    return away.name === call.ifName ? { ...record, before } : undefined;
  }
  const home = await interfaceHere(scope, deviceId);
  return home === undefined
    ? record
    : { ...record, before: { ...record.before, name: home.name, mac: home.permanentMac } };
}

function minimalRecord(network: string, deviceId: string): SriovRecord {
  return {
    network,
    deviceId,
    pfName: '',
    vfNumber: 0,
    ipamType: '',
    mac: '',
    mtu: undefined,
    asked: DEFAULT_ATTRIBUTES,
    before: { vf: { ...DEFAULT_ATTRIBUTES, mac: NO_MAC }, name: '', mac: '', mtu: 0 },
    conf: {},
    own: undefined,
  };
}

async function interfaceInPod(call: DeletionCall, scope: Scope, record: SriovRecord): Promise<DeviceFacts | undefined> {
  try {
    using netns = scope.node.openNetns(call.netnsPath ?? '');
    return await findInterface(netns.netlink, call.ifName, record);
  } catch {
    return undefined; // the pod is gone
  }
}

async function interfaceHere(scope: Scope, deviceId: string): Promise<DeviceFacts | undefined> {
  const device = inspectVf(deviceId, scope.node.sysfs)?.device;
  const [name] = device === undefined ? [] : netNamesOf(device);
  return name === undefined ? undefined : findDevice(scope.node.host.netlink, name);
}
