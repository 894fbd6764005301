import { CniError } from '../../lib/cni/errors.ts';
import { findLink, findLinkByIndex, type LinkFacts } from '../../lib/link/observe.ts';
import { listRoutes, type RouteFacts, RT_TABLE_MAIN } from '../../lib/link/routes.ts';
import { isDefault } from '../../lib/net/cidr.ts';
import type { Netlink } from '../../lib/netlink/netlink.ts';

/**
 * The parent that the configuration names, or that of the default route.
 *
 * @throws CniError invalidNetworkConfig when it is not there
 */
export function findParent(netlink: Netlink, master: string): LinkFacts {
  if (master === '') {
    return defaultParent(netlink);
  }
  const link = findLink(netlink, master);
  if (link === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot find "master" "${master}": no such interface`);
  }
  return link;
}

/** The way out of the default route with the lowest metric, IPv4 first. */
function defaultParent(netlink: Netlink): LinkFacts {
  for (const family of [4, 6] as const) {
    const routes = listRoutes(netlink, [family])
      .filter(({ destination, table }) => table === RT_TABLE_MAIN && isDefault(destination))
      .sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0));
    for (const link of routes.flatMap((route) => waysOut(netlink, route))) {
      return link;
    }
  }
  throw new CniError(
    'invalidNetworkConfig',
    'cannot choose a "master": none is configured and there is no default route',
  );
}

/** The links of a route, those that are up first. */
function waysOut(netlink: Netlink, route: RouteFacts): readonly LinkFacts[] {
  const indexes = route.outputIndex === undefined ? route.nextHops.map(({ index }) => index) : [route.outputIndex];
  const links = indexes.flatMap((index) => findLinkByIndex(netlink, index) ?? []);
  return [...links.filter(({ isUp }) => isUp), ...links.filter(({ isUp }) => !isUp)];
}
