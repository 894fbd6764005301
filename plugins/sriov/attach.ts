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
import { setMacVerified } from './identity.ts';
import type { SriovPlan } from './plan.ts';
import { retryTransient } from './retry.ts';

/** Moves the VF's interface into the pod and sets name, hardware address and MTU; it stays down. */
export async function moveIn(
  scope: Scope,
  netns: Netns,
  device: DeviceFacts,
  plan: SriovPlan,
  ifName: string,
): Promise<DeviceFacts> {
  const moved = await moveLink(scope.node.host, device, { netns, name: ifName });
  const { mac, mtu } = plan;
  const withMac = mac === undefined ? moved : await setMacVerified(netns.netlink, moved, mac, scope);
  if (mtu === undefined || mtu === withMac.mtu) {
    return withMac;
  }
  await retryTransient(scope, () => setMtu(netns.netlink, withMac, mtu));
  return { ...withMac, mtu };
}

/**
 * Adds addresses to the interface, sets it up, and announces it.
 *
 * @param takeAway moves the interface out of the pod: only then may its addresses be released
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
  enableOptimisticDad(netns, name);
  const own: Interface = { name, mac, mtu, sandbox: call.netnsPath };
  return addressLink(call, scope, { netns, link: device, own, takeAway }, undo);
}

/** Announces the addresses to neighbours. */
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

/** For a VF with a userspace driver: the program configures the addresses. */
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
      'cannot use IPAM plugin "dhcp": the VF has a userspace driver, so there is no interface for DHCP',
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

/** Makes link-local addresses usable during duplicate address detection. A kernel without IPv6 has no such sysctl. */
function enableOptimisticDad(netns: Netns, name: string): void {
  try {
    netns.writeSysctl(`net/ipv6/conf/${name}/optimistic_dad`, '1');
  } catch {
    // optional
  }
}
