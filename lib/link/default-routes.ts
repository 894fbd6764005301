import { constants } from 'node:os';
import { isDefault } from '../net/cidr.ts';
import { type Family, formatIp, type Ip, sameIp } from '../net/ip.ts';
import {
  askedRoute,
  decodeNextHops,
  decodeRoute,
  deletedRoute,
  encodeRoute,
  RT_TABLE_MAIN,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTN_UNICAST,
  routeBeside,
  routesThrough,
} from '../netlink/codec/route.ts';
import { AF_INET, AF_INET6, NLM_F_APPEND, NLM_F_CREATE } from '../netlink/constants.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { errnoError, hasErrno } from '../netlink/errno.ts';
import { addRoute, listRoutes } from './routes.ts';
import { routeText } from './told.ts';

/*
 * Default routes are those of the main table that have no prefix: of any metric, and whoever has made them, router
 * advertisements too. Other tables are for those who have rules for them.
 */

/** A link, as far as routes need it. */
export interface RoutedLink {
  readonly index: number;
  readonly name: string;
}

const FAMILIES = [AF_INET, AF_INET6];

/**
 * Removes the default routes of a link, both families. Of a route with several ways out only those through the link are
 * removed.
 *
 * @throws ErrnoError
 */
export async function removeDefaultRoutes(netlink: Conversation, link: RoutedLink): Promise<void> {
  for (const family of FAMILIES) {
    const head = { family, prefix: 0, table: 0, protocol: 0, scope: 0, type: 0 };
    const request = { type: RTM_GETROUTE, body: encodeRoute(head, {}), operation: 'list default routes' };
    for (const body of (await netlink.dump(request)).filter((one) => isDefaultThrough(one, link.index))) {
      await removeWays(netlink, link, body);
    }
  }
}

/**
 * Makes a gateway the default of its family, through a link.
 *
 * @throws ErrnoError EEXIST when another link has a default route that the kernel would not prefer to it
 */
export async function addDefaultRoute(netlink: Conversation, link: RoutedLink, gateway: Ip): Promise<void> {
  const text = `${defaultOf(gateway.family)} via ${formatIp(gateway)} dev ${link.name}`;
  const destination = { ip: { family: gateway.family, value: 0n }, prefix: 0 };
  const route = { destination, gateway, mtu: undefined, advmss: undefined, priority: undefined, table: undefined };
  try {
    await addRoute(netlink, link.index, { ...route, scope: 0 }, text, { isOnly: true });
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) {
      throw error;
    }
    const others = await otherDefaults(netlink, link, gateway);
    if (others.length > 0) {
      throw errnoError(
        `add route ${text}`,
        constants.errno.EEXIST,
        `there is another default route ${others.join(', ')}`,
      );
    }
  }
}

function isDefaultThrough(body: Buffer, index: number): boolean {
  const { prefix, table, type, attributes } = decodeRoute(body);
  const { outputIndex, multipath } = attributes;
  const isThrough = outputIndex === index || hopIndexes(multipath).includes(index);
  return prefix === 0 && table === RT_TABLE_MAIN && type === RTN_UNICAST && isThrough;
}

const hopIndexes = (multipath: Buffer | undefined): readonly number[] =>
  multipath === undefined ? [] : decodeNextHops(multipath).map(({ index }) => index);

/** The kernel removes single ways out of IPv6 routes, but IPv4 routes only as a whole. */
async function removeWays(netlink: Conversation, link: RoutedLink, body: Buffer): Promise<void> {
  const isIpv6 = decodeRoute(body).family === AF_INET6;
  const rest = routeBeside(body, link.index);
  const doomed = isIpv6 && rest !== undefined ? routesThrough(body, link.index, true) : [body];
  for (const one of doomed) {
    await remove(netlink, link, one);
  }
  if (!isIpv6 && rest !== undefined) {
    await netlink.change({
      type: RTM_NEWROUTE,
      flags: NLM_F_CREATE | NLM_F_APPEND,
      body: [askedRoute(rest, 0, 0)],
      operation: `keep route ${routeText(rest)}`,
      whenDone: 'EEXIST',
    });
  }
}

async function remove(netlink: Conversation, { name }: RoutedLink, body: Buffer): Promise<void> {
  const operation = `remove route ${routeText(body)} from "${name}"`;
  try {
    await netlink.change({ type: RTM_DELROUTE, body: [deletedRoute(body)], operation, whenDone: 'ESRCH' });
  } catch (error) {
    if (!hasErrno(error, 'ESRCH')) {
      throw error; // else it is gone already
    }
  }
}

/** What stands in the way of a default route, in words; nothing when it is there itself. */
async function otherDefaults(netlink: Conversation, link: RoutedLink, gateway: Ip): Promise<readonly string[]> {
  const defaults = (await listRoutes(netlink, [gateway.family])).filter(
    ({ destination, table }) => isDefault(destination) && table === RT_TABLE_MAIN,
  );
  const isThere = defaults.some(
    (route) => route.outputIndex === link.index && route.gateway !== undefined && sameIp(route.gateway, gateway),
  );
  return isThere
    ? []
    : defaults.map((route) => `${route.gateway === undefined ? 'without gateway' : `via ${formatIp(route.gateway)}`}`);
}

const defaultOf = (family: Family): string => (family === 4 ? '0.0.0.0/0' : '::/0');
