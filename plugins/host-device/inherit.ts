import { CniError } from '../../lib/cni/errors.ts';
import type { IpConfig, Result, Route } from '../../lib/cni/result.ts';
import type { DeviceFacts } from '../../lib/link/device.ts';
import { copyRoutes, restoreAddresses, restoreRules } from '../../lib/link/restore.ts';
import type { NetworkState } from '../../lib/link/saved-state.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import { formatIp, ipFromBytes } from '../../lib/net/ip.ts';
import { decodeAddress } from '../../lib/netlink/codec/address.ts';
import { decodeRoute, RT_TABLE_MAIN, RTN_UNICAST } from '../../lib/netlink/codec/route.ts';
import { AF_INET } from '../../lib/netlink/constants.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';

const SCOPE_GLOBAL = 0;

/** The device's own addresses that can be applied like those of an IPAM plugin: all without a peer. */
export const inheritedAddresses = ({ addresses }: NetworkState): Pick<Result, 'ips' | 'routes'> => ({
  ips: addresses.filter((body) => !hasPeer(body)).flatMap(addressOf),
  routes: [],
});

/**
 * Copies the rest of the device's network to the pod: addresses with a peer, rules and routes, as raw netlink messages,
 * which carry more than a result can.
 *
 * @param device in the pod, up, with its other addresses
 * @returns the result plus what a result can express
 * @throws CniError internal naming what the kernel refuses
 */
export async function inheritNetwork(
  netlink: Conversation,
  device: DeviceFacts,
  { name, kept }: { readonly name: string; readonly kept: NetworkState },
  result: Result,
): Promise<Result> {
  const peers = kept.addresses.filter(hasPeer);
  const faults = [
    ...(await restoreAddresses(netlink, { ...kept, addresses: peers }, device.index)),
    ...(await restoreRules(netlink, kept)),
    ...(await copyRoutes(netlink, kept, device.index)),
  ];
  if (faults.length > 0) {
    throw new CniError(
      'internal',
      `cannot apply the network configuration of "${name}" in the container: ${faults.join('; ')}`,
    );
  }
  const ips = peers.flatMap(addressOf).map((ip) => ({ ...ip, interface: 0 }));
  return { ...result, ips: [...ips, ...result.ips], routes: [...inheritedRoutes(kept), ...result.routes] };
}

/** Those that a result can express: at most one gateway, no type of service. */
export const inheritedRoutes = ({ routes }: NetworkState): readonly Route[] => routes.flatMap(routeOf);

/** An address whose prefix is its peer's: it implies the route to the peer. */
function hasPeer(body: Buffer): boolean {
  const { local, address } = decodeAddress(body).attributes;
  return local !== undefined && address !== undefined && !local.equals(address);
}

function addressOf(body: Buffer): readonly IpConfig[] {
  const { prefix, scope, attributes } = decodeAddress(body);
  const bytes = attributes.local ?? attributes.address;
  return bytes === undefined || scope !== SCOPE_GLOBAL
    ? []
    : [{ address: formatCidr({ ip: ipFromBytes(bytes), prefix }) }];
}

function routeOf(body: Buffer): readonly Route[] {
  const { family, prefix, table, tos, scope, type, attributes } = decodeRoute(body);
  const { destination, gateway, priority, metrics, multipath, via, encapsulation } = attributes;
  const beyond = [multipath, via, encapsulation].some((attribute) => attribute !== undefined);
  if (type !== RTN_UNICAST || tos !== 0 || beyond) {
    return [];
  }
  const ip =
    destination === undefined ? ({ family: family === AF_INET ? 4 : 6, value: 0n } as const) : ipFromBytes(destination);
  return [
    {
      dst: formatCidr({ ip, prefix }),
      ...(gateway === undefined ? {} : { gw: formatIp(ipFromBytes(gateway)) }),
      ...(metrics?.mtu ? { mtu: metrics.mtu } : {}),
      ...(metrics?.advmss ? { advmss: metrics.advmss } : {}),
      ...(priority ? { priority } : {}),
      ...(table === RT_TABLE_MAIN ? {} : { table }),
      ...(scope ? { scope } : {}),
    },
  ];
}
