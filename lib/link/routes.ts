import { type Cidr, isDefault } from '../net/cidr.ts';
import { bitsOf, type Family, formatIp, type Ip, ipFromBytes, ipToBytes } from '../net/ip.ts';
import {
  decodeNextHops,
  decodeRoute,
  encodeRoute,
  type RouteAttributes,
  RT_TABLE_MAIN,
  RTM_F_FIB_MATCH,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTN_UNICAST,
  RTPROT_BOOT,
} from '../netlink/codec/route.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts';
import type { Conversation, Request } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import { flatMapInTurn } from '../sys/in-turn.ts';

const BYTE_TABLES = 256;
const FAMILIES: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };

/** One route of a link as it should be. */
export interface RoutePlan {
  readonly destination: Cidr;
  readonly gateway: Ip | undefined;
  /** the gateway is a guess: none was named */
  readonly isGuess?: boolean;
  readonly mtu: number | undefined;
  readonly advmss: number | undefined;
  readonly priority: number | undefined;
  /** undefined: the main one */
  readonly table: number | undefined;
  readonly scope: number;
}

/** What the kernel says of a route. */
export interface RouteFacts extends RoutePlan {
  readonly table: number;
  /** only packets of this type of service take the route; 0: all that no other route wants */
  readonly tos: number;
  /** of several IPv6 routes with one metric the one with the higher preference is taken: -1, 0 or 1 */
  readonly preference: number;
  readonly outputIndex: number | undefined;
  /** more than one way out, each with the index of its link */
  readonly nextHops: readonly { readonly index: number; readonly flags: number }[];
}

/**
 * @param isOnly no other route to the destination has that metric
 * @throws ErrnoError EEXIST when the very same route is there, and when another is but must not be
 */
export const addRoute = (
  netlink: Conversation,
  index: number,
  route: RoutePlan,
  text: string,
  options: { readonly isOnly?: boolean } = {},
): Promise<void> => netlink.change(addingRoute(index, route, text, options));

/** The same as a request. */
export function addingRoute(index: number, route: RoutePlan, text: string, { isOnly = false } = {}): Request {
  const { destination, table = RT_TABLE_MAIN } = route;
  const head = {
    family: FAMILIES[destination.ip.family],
    prefix: destination.prefix,
    table: table < BYTE_TABLES ? table : 0,
    protocol: RTPROT_BOOT,
    scope: route.scope,
    type: RTN_UNICAST,
  };
  return {
    type: RTM_NEWROUTE,
    flags: isOnly ? NLM_F_CREATE | NLM_F_EXCL : NLM_F_CREATE,
    body: encodeRoute(head, attributesOf(index, route)),
    operation: `add route ${text}`,
    whenDone: 'EEXIST',
  };
}

/** Every route of the namespace, both families, unicast only. */
export function listRoutes(
  netlink: Conversation,
  families: readonly Family[] = [4, 6],
): Promise<readonly RouteFacts[]> {
  return flatMapInTurn(families, async (family) => {
    const head = { family: FAMILIES[family], prefix: 0, table: 0, protocol: 0, scope: 0, type: 0 };
    const request = { type: RTM_GETROUTE, body: encodeRoute(head, {}), operation: `list IPv${family} routes` };
    return (await netlink.dump(request)).flatMap((body) => factsOf(body, family));
  });
}

/** Errors that say "no way": none at all, unreachable, blackhole, prohibited, and a rule that throws the packet back. */
const NO_WAY = ['ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EACCES', 'EAGAIN'];

/**
 * The route that the kernel itself takes to an address, as it stands in its table: by rules, metric, preference, type of
 * service, and by who answers.
 *
 * @returns undefined when there is no way to it
 * @throws ErrnoError
 */
export async function findRoute(netlink: Conversation, ip: Ip): Promise<RouteFacts | undefined> {
  const none = { table: 0, protocol: 0, scope: 0, type: 0 };
  const head = { family: FAMILIES[ip.family], prefix: bitsOf(ip.family), ...none, flags: RTM_F_FIB_MATCH };
  const body = encodeRoute(head, { destination: ipToBytes(ip) });
  const operation = `look up the route to ${formatIp(ip)}`;
  try {
    return factsOf(await netlink.ask({ type: RTM_GETROUTE, body, operation }), ip.family)[0];
  } catch (error) {
    if (hasErrno(error, ...NO_WAY)) {
      return undefined;
    }
    throw error;
  }
}

function attributesOf(index: number, route: RoutePlan): RouteAttributes {
  const { destination, gateway, priority, mtu, advmss, table = RT_TABLE_MAIN } = route;
  return {
    ...(isDefault(destination) ? {} : { destination: ipToBytes(destination.ip) }),
    ...(gateway === undefined ? {} : { gateway: ipToBytes(gateway) }),
    ...(priority ? { priority } : {}),
    outputIndex: index,
    ...(mtu || advmss ? { metrics: { ...(mtu ? { mtu } : {}), ...(advmss ? { advmss } : {}) } } : {}),
    ...(table >= BYTE_TABLES ? { tableId: table } : {}),
  };
}

function factsOf(body: Buffer, family: Family): readonly RouteFacts[] {
  const { prefix, table, tos, scope, type, attributes } = decodeRoute(body);
  if (type !== RTN_UNICAST) {
    return [];
  }
  const zero: Ip = { family, value: 0n };
  const { destination, gateway, priority, metrics, outputIndex, multipath, preference } = attributes;
  return [
    {
      destination: { ip: destination === undefined ? zero : ipFromBytes(destination), prefix },
      gateway: gateway === undefined ? undefined : ipFromBytes(gateway),
      mtu: metrics?.mtu,
      advmss: metrics?.advmss,
      priority,
      table,
      scope,
      tos,
      preference: preferenceOf(preference),
      outputIndex,
      nextHops: multipath === undefined ? [] : decodeNextHops(multipath),
    },
  ];
}

/** RFC 4191: two bits with a sign */
const preferenceOf = (bits: number | undefined): number => (bits === 1 ? 1 : bits === 3 ? -1 : 0);

export { RT_TABLE_MAIN };
