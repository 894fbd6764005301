import type { Scope } from '../../lib/cni/scope.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { rdmaNamesAnywhere } from '../../lib/rdma/bus.ts';
import { listRdmaDevices, moveRdmaDevice, type RdmaDevice } from '../../lib/rdma/devices.ts';
import { rdmaMode } from '../../lib/rdma/mode.ts';
import { findBusDevice } from '../../lib/sys/bus-device.ts';
import type { RdmaState } from './state.ts';

/**
 * The device of a state in a namespace: by its name or, if a pod renamed it, by the current name below its bus device.
 * In shared mode no device is in one namespace.
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
 * Moves a pod's device back to the host. It may be there already: the kernel returns it when a namespace dies.
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
    log(`RDMA device "${state.containerName}" is no longer in the pod`);
    return;
  }
  log(`move RDMA device "${device.name}" back to the host`);
  await moveRdmaDevice(device, netns, scope.node.host, 'back to the host');
}

/** A foreign file may name anything. */
function hiddenNames(deviceId: string, sysfs: string): readonly string[] {
  try {
    const device = deviceId === '' ? undefined : findBusDevice(deviceId, 'deviceID', sysfs);
    return device === undefined ? [] : rdmaNamesAnywhere(device);
  } catch {
    return [];
  }
}
