import type { IpConfig, Result, Route } from '../../lib/cni/result.ts';
import type { Kept } from '../../lib/link/kept.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import { formatIp, ipFromBytes } from '../../lib/net/ip.ts';
import { decodeAddress } from '../../lib/netlink/codec/address.ts';
import { decodeRoute, RT_TABLE_MAIN, RTN_UNICAST } from '../../lib/netlink/codec/route.ts';

const AF_INET = 2;
const SCOPE_GLOBAL = 0;

/**
 * What a device had at home, as a result has it: global addresses, and routes. A route with several ways out has no
 * place in a result: see `restoreRoutes`.
 */
export function inherited(kept: Kept): Pick<Result, 'ips' | 'routes'> {
  return { ips: kept.addresses.flatMap(addressOf), routes: kept.routes.flatMap(routeOf) };
}

/** The part of what was kept that a result cannot say. */
export const beyondResult = (kept: Kept): Kept => ({
  ...kept,
  routes: kept.routes.filter((body) => decodeRoute(body).attributes.multipath !== undefined),
});

function addressOf(body: Buffer): readonly IpConfig[] {
  const { prefix, scope, attributes } = decodeAddress(body);
  const bytes = attributes.local ?? attributes.address;
  return bytes === undefined || scope !== SCOPE_GLOBAL
    ? []
    : [{ address: formatCidr({ ip: ipFromBytes(bytes), prefix }) }];
}

function routeOf(body: Buffer): readonly Route[] {
  const { family, prefix, table, scope, type, attributes } = decodeRoute(body);
  const { destination, gateway, priority, metrics, multipath } = attributes;
  if (type !== RTN_UNICAST || multipath !== undefined) {
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
