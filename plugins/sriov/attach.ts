import { addressLink } from '../../lib/cni/addressed.ts';
import type { PodCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { ipamAdd, ipamType } from '../../lib/cni/ipam.ts';
import { EMPTY_RESULT, type Interface, type Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import type { Undo } from '../../lib/cni/undo.ts';
import { announceWhenUp } from '../../lib/link/addressing.ts';
import { announce } from '../../lib/link/announce.ts';
import { type DeviceFacts, setMtu } from '../../lib/link/device.ts';
import { moveLink } from '../../lib/link/moving.ts';
import { parseCidr } from '../../lib/net/cidr.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import type { SriovConf } from './config.ts';
import { wearMac } from './identity.ts';
import { patiently } from './patience.ts';
import type { SriovPlan } from './plan.ts';

/** Moves the VF's interface into the pod, under its name there, with its hardware address and MTU, still down. */
export async function moveIn(
  scope: Scope,
  netns: Netns,
  device: DeviceFacts,
  plan: SriovPlan,
  ifName: string,
): Promise<DeviceFacts> {
  const moved = await moveLink(scope.node.host, device, { netns, name: ifName });
  const { mac, mtu } = plan;
  const worn = mac === undefined ? moved : await wearMac(netns.netlink, moved, mac, scope);
  if (mtu === undefined || mtu === worn.mtu) {
    return worn;
  }
  await patiently(scope, () => setMtu(netns.netlink, worn, mtu));
  return { ...worn, mtu };
}

/**
 * Addresses the interface, sets it up, and tells its neighbours.
 *
 * @param takeAway takes the interface out of the pod: only then may its addresses be given back
 */
export async function addressInterface(
  call: PodCall<SriovConf>,
  scope: Scope,
  netns: Netns,
  device: DeviceFacts,
  { takeAway, undo }: { readonly takeAway: (scope: Scope) => Promise<void>; readonly undo: Undo },
): Promise<Result> {
  const { name, mac, mtu } = device;
  announceWhenUp(netns, name);
  beOptimistic(netns, name);
  const own: Interface = { name, mac, mtu, sandbox: call.netnsPath };
  return addressLink(call, scope, { netns, link: device, own, takeAway }, undo);
}

/** Tells the neighbours where the addresses are now. */
export async function announceResult(scope: Scope, netns: Netns, device: DeviceFacts, { ips }: Result): Promise<void> {
  await announce({
    netns,
    link: device,
    mac: device.mac,
    addresses: ips.flatMap(({ address }) => parseCidr(address)?.ip ?? []),
    clock: scope,
    log: scope.log,
  });
}

/** For a VF that a program has: addresses are for the program to configure. */
export async function addressProgram(
  call: PodCall<SriovConf>,
  scope: Scope,
  own: Interface,
  undo: Undo,
): Promise<Result> {
  const type = ipamType(call.document);
  if (type === 'dhcp') {
    throw new CniError(
      'invalidNetworkConfig',
      'cannot use IPAM plugin "dhcp": the VF is handed to a program, so there is no interface to ask a server through',
    );
  }
  const leases = type === '' ? EMPTY_RESULT : await ipamAdd(call, scope, undo);
  return {
    interfaces: [own],
    ips: leases.ips.map((ip) => ({ ...ip, interface: 0 })),
    routes: leases.routes,
    dns: leases.dns,
  };
}

/** Link-local addresses can be used while duplicates are looked for. A kernel without IPv6 has no such switch. */
function beOptimistic(netns: Netns, name: string): void {
  try {
    netns.writeSysctl(`net/ipv6/conf/${name}/optimistic_dad`, '1');
  } catch {
    // the link works without
  }
}
