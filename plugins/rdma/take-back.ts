import type { Scope } from '../../lib/cni/scope.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { rdmaNamesAnywhere } from '../../lib/rdma/bus.ts';
import { listRdmaDevices, moveRdmaDevice, type RdmaDevice } from '../../lib/rdma/devices.ts';
import { rdmaMode } from '../../lib/rdma/mode.ts';
import { findBusDevice } from '../../lib/sys/bus-device.ts';
import type { RdmaState } from './state.ts';

/**
 * The device of a state, when it is in a namespace: by its name, or, where a pod has renamed it, by what its bus device
 * calls it now. In shared mode no device is in one namespace.
 */
export async function deviceIn(netns: Netns, state: RdmaState, scope: Scope): Promise<RdmaDevice | undefined> {
  if ((await rdmaMode(scope.node.host)) !== 'exclusive') {
    return undefined;
  }
  const devices = await listRdmaDevices(netns);
  const among = (names: readonly string[]): RdmaDevice | undefined => devices.find(({ name }) => names.includes(name));
  return among(namesOf(state)) ?? among(hiddenNames(state.deviceId, scope.node.sysfs));
}

export const namesOf = ({ hostName, containerName }: RdmaState): readonly string[] =>
  [containerName, hostName].filter((name) => name !== '');

/**
 * Gives a pod's device back to the host. It may be there already: the kernel brings it back when a namespace ends.
 *
 * @throws ErrnoError
 */
export async function takeBack(
  netns: Netns,
  state: RdmaState,
  scope: Scope,
  log: (line: string) => void,
): Promise<void> {
  const device = await deviceIn(netns, state, scope);
  if (device === undefined || netns.isSameAs(scope.node.host)) {
    log(`the pod does not have RDMA device "${state.containerName}" any more`);
    return;
  }
  log(`move RDMA device "${device.name}" back to the host`);
  await moveRdmaDevice(device, netns, scope.node.host, 'back to the host');
}

/** A file that somebody else wrote may name anything. */
function hiddenNames(deviceId: string, sysfs: string): readonly string[] {
  try {
    const device = deviceId === '' ? undefined : findBusDevice(deviceId, 'deviceID', sysfs);
    return device === undefined ? [] : rdmaNamesAnywhere(device);
  } catch {
    return [];
  }
}
