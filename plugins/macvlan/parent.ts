import { CniError } from '../../lib/cni/errors.ts';
import { findLink, findLinkByIndex, type LinkFacts } from '../../lib/link/observe.ts';
import { listRoutes, type RouteFacts, RT_TABLE_MAIN } from '../../lib/link/routes.ts';
import { isDefault } from '../../lib/net/cidr.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';
import { flatMapInTurn, mapInTurn } from '../../lib/sys/in-turn.ts';

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

/** The way out of the default route with the lowest metric, IPv4 first. */
async function defaultParent(netlink: Conversation): Promise<LinkFacts> {
  for (const family of [4, 6] as const) {
    const routes = (await listRoutes(netlink, [family]))
      .filter(({ destination, table }) => table === RT_TABLE_MAIN && isDefault(destination))
      .sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0));
    const [link] = await flatMapInTurn(routes, (route) => waysOut(netlink, route));
    if (link !== undefined) {
      return link;
    }
  }
  throw new CniError(
    'invalidNetworkConfig',
    'cannot choose a "master": none is configured and there is no default route',
  );
}

/** The links of a route, those that are up first. */
async function waysOut(netlink: Conversation, route: RouteFacts): Promise<readonly LinkFacts[]> {
  const indexes = route.outputIndex === undefined ? route.nextHops.map(({ index }) => index) : [route.outputIndex];
  const found = await mapInTurn(indexes, (index) => findLinkByIndex(netlink, index));
  const links = found.filter((link) => link !== undefined);
  return [...links.filter(({ isUp }) => isUp), ...links.filter(({ isUp }) => !isUp)];
}
