import { type Cidr, isDefault } from '../net/cidr.ts';
import { type Family, type Ip, ipFromBytes, ipToBytes } from '../net/ip.ts';
import {
  decodeNextHops,
  decodeRoute,
  encodeRoute,
  type RouteAttributes,
  RT_TABLE_MAIN,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTN_UNICAST,
  RTPROT_BOOT,
} from '../netlink/codec/route.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { flatMapInTurn } from '../sys/in-turn.ts';

const NLM_F_CREATE = 0x400;
const BYTE_TABLES = 256;
const FAMILIES: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };

/** One route of a link as it should be. */
export interface RoutePlan {
  readonly destination: Cidr;
  readonly gateway: Ip | undefined;
  readonly mtu: number | undefined;
  readonly advmss: number | undefined;
  readonly priority: number | undefined;
  readonly table: number;
  readonly scope: number;
}

/** What the kernel says of a route. */
export interface RouteFacts extends RoutePlan {
  readonly outputIndex: number | undefined;
  /** more than one way out, each with the index of its link */
  readonly nextHops: readonly { readonly index: number; readonly flags: number }[];
}

/** @throws ErrnoError EEXIST when the very same route is there */
export async function addRoute(netlink: Conversation, index: number, route: RoutePlan, text: string): Promise<void> {
  const { ip, prefix } = route.destination;
  const head = {
    family: FAMILIES[ip.family],
    prefix,
    table: route.table < BYTE_TABLES ? route.table : 0,
    protocol: RTPROT_BOOT,
    scope: route.scope,
    type: RTN_UNICAST,
  };
  await netlink.change({
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE,
    body: encodeRoute(head, attributesOf(index, route)),
    operation: `add route ${text}`,
    whenDone: 'EEXIST',
  });
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

function attributesOf(index: number, route: RoutePlan): RouteAttributes {
  const { destination, gateway, priority, mtu, advmss, table } = route;
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
  const { prefix, table, scope, type, attributes } = decodeRoute(body);
  if (type !== RTN_UNICAST) {
    return [];
  }
  const zero: Ip = { family, value: 0n };
  const { destination, gateway, priority, metrics, outputIndex, multipath } = attributes;
  return [
    {
      destination: { ip: destination === undefined ? zero : ipFromBytes(destination), prefix },
      gateway: gateway === undefined ? undefined : ipFromBytes(gateway),
      mtu: metrics?.mtu,
      advmss: metrics?.advmss,
      priority,
      table,
      scope,
      outputIndex,
      nextHops: multipath === undefined ? [] : decodeNextHops(multipath),
    },
  ];
}

export { RT_TABLE_MAIN };
