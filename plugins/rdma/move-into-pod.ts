import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { identityOf } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import type { Undo } from '../../lib/cni/undo.ts';
import { findLink } from '../../lib/link/observe.ts';
import { hasErrno } from '../../lib/netlink/errno.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { rdmaNamesAnywhere } from '../../lib/rdma/bus.ts';
import { listRdmaDevices, moveRdmaDevice } from '../../lib/rdma/devices.ts';
import { type BusDevice, driverOf, isUserspace, rdmaNamesOf } from '../../lib/sys/bus-device.ts';
import { type Facts, type Plan, planMove } from './plan.ts';
import { nameOf, type Owner, type RdmaState, readState, removeState, statesIn } from './state.ts';
import { deviceIn, namesOf, takeBack } from './take-back.ts';

/** An attachment, and the bus device whose RDMA device it gets. */
export interface RdmaMove {
  readonly device: BusDevice;
  readonly netns: Netns;
  readonly dataDir: string;
  readonly owner: Owner;
  readonly log: (line: string) => void;
}

/** length of an IPoIB hardware address */
const INFINIBAND_BYTES = 20;

/**
 * Moves the RDMA device into the pod. The state is on disk before the device moves, so that DEL can find it whenever
 * the call is killed. A device that is already in the pod stays there.
 *
 * @throws CniError
 */
export async function moveIntoPod(request: RdmaMove, scope: Scope, undo: Undo): Promise<void> {
  const { device, netns, dataDir, owner, log } = request;
  const states = statesIn(dataDir);
  const before = readState(states, nameOf(owner), scope.log);
  const plan = planMove(await factsOf(request, before, scope));
  await refuseSecond(before, plan, request, scope);
  if (!plan.isInPod) {
    await refuseInfiniBand(netns, owner.ifName);
  }
  const { name } = plan.device;
  const { network, containerId, ifName } = owner;
  const state: RdmaState = {
    deviceId: device.name,
    hostName: name,
    containerName: name,
    owner: { network, containerId, ifName, netns: netns.path, namespace: identityOf(scope, netns) },
  };
  log(`write "${states.fileOf(nameOf(owner))}"`);
  states.write(nameOf(owner), state);
  if (plan.isInPod) {
    log(`RDMA device "${name}" is already in the pod`);
    return;
  }
  undo.push(`take RDMA device "${name}" back`, async (unending) => {
    await takeBack(netns, state, unending, log);
    removeState(states, nameOf(owner), unending.log);
  });
  log(`move RDMA device "${name}" into the pod`);
  await move(plan, netns, scope);
}

async function factsOf({ device, netns }: RdmaMove, before: RdmaState | undefined, scope: Scope): Promise<Facts> {
  const known = rdmaNamesAnywhere(device);
  return {
    deviceId: device.name,
    driver: driverOf(device) ?? '',
    isUserspace: isUserspace(device),
    visible: rdmaNamesOf(device),
    hidden: known.length > 0 || before?.deviceId !== device.name ? known : namesOf(before).slice(0, 1),
    onHost: await listRdmaDevices(scope.node.host),
    inPod: await listRdmaDevices(netns),
  };
}

/** The state names only one device: that of an earlier ADD would be orphaned in the pod. */
async function refuseSecond(
  before: RdmaState | undefined,
  { device }: Plan,
  { netns }: RdmaMove,
  scope: Scope,
): Promise<void> {
  const held = before === undefined ? undefined : await deviceIn(netns, before, scope);
  if (held !== undefined && held.name !== device.name) {
    throw new CniError(
      'internal',
      `cannot move RDMA device "${device.name}" into the container: this attachment already has "${held.name}": call DEL first`,
    );
  }
}

/** IPoIB interfaces are built on the RDMA device: the kernel would delete the pod's and create another. */
async function refuseInfiniBand(netns: Netns, ifName: string): Promise<void> {
  const mac = (await findLink(netns.netlink, ifName))?.mac ?? '';
  if (mac.split(':').length === INFINIBAND_BYTES) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot move the RDMA device of InfiniBand interface "${ifName}": the interface would be lost: drop rdma, and use ` +
        'ib-sriov with "rdmaIsolation": true, which moves the RDMA device first',
    );
  }
}

async function move({ device }: Plan, netns: Netns, scope: Scope): Promise<void> {
  try {
    await moveRdmaDevice(device, scope.node.host, netns, 'into the pod');
  } catch (error) {
    const hint = hasErrno(error, 'EOPNOTSUPP')
      ? ': its driver cannot disassociate it from programs that have it open'
      : '';
    throw new CniError('internal', `${messageOf(error)}${hint}`, { cause: error });
  }
}
