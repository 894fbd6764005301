import { CniError } from '../cni/errors.ts';
import { isDefault } from '../net/cidr.ts';
import { type Family, type Ip, parseIp } from '../net/ip.ts';
import { RTNH_F_DEAD, RTNH_F_LINKDOWN } from '../netlink/codec/route.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { findLink, findLinkByIndex, type LinkFacts } from './observe.ts';
import { findRoute, listRoutes, type RouteFacts, RT_TABLE_MAIN } from './routes.ts';

/**
 * The parent that the configuration names, or that of the default route.
 *
 * @throws CniError invalidNetworkConfig when it is not there
 */
export async function findParent(netlink: Conversation, master: string): Promise<LinkFacts> {
  if (master === '') {
    return defaultParent(netlink);
  }
  const link = await findLink(netlink, master);
  if (link === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot find "master" "${master}": no such interface`);
  }
  return link;
}

/** The way out of the default route that the node itself takes, IPv4 first. */
async function defaultParent(netlink: Conversation): Promise<LinkFacts> {
  for (const family of [4, 6] as const) {
    const route = (await routeOutside(netlink, family)) ?? (await listedDefault(netlink, family));
    const index = route === undefined ? undefined : wayOut(route);
    const link = index === undefined ? undefined : await findLinkByIndex(netlink, index);
    if (link !== undefined) {
      return link;
    }
  }
  throw new CniError(
    'invalidNetworkConfig',
    'cannot choose a "master": none is configured and there is no default route',
  );
}

/**
 * Addresses that are nobody's neighbour, so that only a default route leads there: one that was never given to anybody,
 * and, for nodes that throw such packets away, that of a root name server. Nothing is sent.
 */
const OUTSIDE: Readonly<Record<Family, readonly Ip[]>> = {
  4: ['240.0.0.1', '198.41.0.4'].flatMap((text) => parseIp(text) ?? []),
  6: ['4000::1', '2001:503:ba3e::2:30'].flatMap((text) => parseIp(text) ?? []),
};

/** What the kernel says: metric, preference, rules and type of service are its own affair. */
async function routeOutside(netlink: Conversation, family: Family): Promise<RouteFacts | undefined> {
  for (const ip of OUTSIDE[family]) {
    const route = await findRoute(netlink, ip);
    if (route !== undefined && isDefault(route.destination)) {
      return route;
    }
  }
  return undefined;
}

/** Where routes that are no default lead everywhere (two halves of a VPN), the first default route in the kernel's order. */
async function listedDefault(netlink: Conversation, family: Family): Promise<RouteFacts | undefined> {
  const [first] = (await listRoutes(netlink, [family]))
    .filter(({ destination, table, tos }) => table === RT_TABLE_MAIN && isDefault(destination) && tos === 0)
    .filter((route) => wayOut(route) !== undefined)
    .sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0) || b.preference - a.preference);
  return first;
}

/** The link of a route; of several next hops the first that lives, and best one with a carrier. */
function wayOut({ outputIndex, nextHops }: RouteFacts): number | undefined {
  const without = (flags: number) => nextHops.find((hop) => (hop.flags & flags) === 0);
  const hop = without(RTNH_F_DEAD | RTNH_F_LINKDOWN) ?? without(RTNH_F_DEAD) ?? nextHops[0];
  return outputIndex ?? hop?.index;
}

/** Whoever takes all frames that a link gets: two cannot. A VRF is a master too, and takes none. */
const TAKERS = ['bridge', 'bond', 'team', 'openvswitch', 'hsr'];
const ETHERNET_LENGTH = '02:00:00:00:00:01'.length;

/**
 * Why a link cannot be the parent of others that get a share of its frames.
 *
 * @returns a phrase, or undefined
 */
export function parentFault(parent: LinkFacts): string | undefined {
  if (parent.name === 'lo') {
    return 'is the loopback';
  }
  if (parent.mac.length !== ETHERNET_LENGTH) {
    return 'is not an Ethernet device';
  }
  return parent.masterIndex !== undefined && TAKERS.includes(parent.slaveKind)
    ? `is enslaved to a ${parent.slaveKind}`
    : undefined;
}

/**
 * Why such a link cannot have an MTU; 0 is that of the parent.
 *
 * @returns a phrase, or undefined
 */
export const mtuFault = (mtu: number, parent: LinkFacts): string | undefined =>
  mtu > parent.mtu ? `parent "${parent.name}" has ${parent.mtu}` : undefined;
