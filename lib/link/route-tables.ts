import { type Cidr, formatCidr } from '../net/cidr.ts';
import { type Family, type Ip, ipFromBytes } from '../net/ip.ts';
import {
  askedRoute,
  decodeNextHops,
  decodeRoute,
  encodeRoute,
  expiryOf,
  RTM_DELROUTE,
  RTM_F_CLONED,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  routeInTable,
} from '../netlink/codec/route.ts';
import { AF_INET, AF_INET6, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE } from '../netlink/constants.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import { flatMapInTurn } from '../sys/in-turn.ts';
import { routeText } from './told.ts';

/* Routes as the kernel told them, which are put into another table with all that they have. */

/** A route, and what is asked about it. */
export interface ToldRoute {
  readonly family: Family;
  readonly table: number;
  readonly destination: Cidr;
  readonly gateway: Ip | undefined;
  readonly source: Ip | undefined;
  /** each link that it leads through */
  readonly links: readonly number[];
  /** the same for routes of one table that the kernel takes for one when one replaces the other */
  readonly key: string;
  /** as told */
  readonly body: Buffer;
}

/** Every route of every table, both families, whatever its type. */
export const tellRoutes = (netlink: Conversation): Promise<readonly ToldRoute[]> =>
  flatMapInTurn([AF_INET, AF_INET6], async (family) => {
    const head = { family, prefix: 0, table: 0, protocol: 0, scope: 0, type: 0 };
    const body = encodeRoute(head, {});
    const bodies = await netlink.dump({ type: RTM_GETROUTE, body, operation: 'list routes' });
    return bodies.flatMap((one) => toldRoute(one, family));
  });

/**
 * Puts a route into another table.
 *
 * @param how `replace` what has its key there, or `append` it, which the kernel takes after the one before
 */
export async function copyRoute(
  netlink: Conversation,
  { body }: ToldRoute,
  table: number,
  how: 'replace' | 'append',
): Promise<void> {
  const moved = routeInTable(asked(body), table);
  await netlink.change({
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | (how === 'replace' ? NLM_F_REPLACE : NLM_F_APPEND),
    body: [moved],
    operation: `add route ${routeText(moved)}`,
    whenDone: 'EEXIST',
  });
}

/** Puts a route back where it was told, after what has come there meanwhile. */
export async function restoreRoute(netlink: Conversation, { body }: ToldRoute): Promise<void> {
  await netlink.change({
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_APPEND,
    body: [asked(body)],
    operation: `restore route ${routeText(body)}`,
    whenDone: 'EEXIST',
  });
}

/** Deletes a route where it was told; one that is gone is no failure. */
export async function deleteRoute(netlink: Conversation, { body }: ToldRoute): Promise<void> {
  try {
    await netlink.change({ type: RTM_DELROUTE, body: [asked(body)], operation: `delete route ${routeText(body)}` });
  } catch (error) {
    if (!hasErrno(error, 'ESRCH')) {
      throw error;
    }
  }
}

/** Without the kernel's own state; it ends when the one that was told ends. */
function asked(body: Buffer): Buffer {
  const { outputIndex = 0, ...attributes } = decodeRoute(body).attributes;
  return askedRoute(body, outputIndex, outputIndex, expiryOf(attributes));
}

function toldRoute(body: Buffer, wanted: number): readonly ToldRoute[] {
  const { family, prefix, tos, table, flags, attributes } = decodeRoute(body);
  if (family !== wanted || (flags & RTM_F_CLONED) !== 0) {
    return []; // a kernel without IPv6 tells all others instead
  }
  const own: Family = family === AF_INET ? 4 : 6;
  const { destination, gateway, source, outputIndex, multipath, priority = 0 } = attributes;
  const network = { ip: destination === undefined ? { family: own, value: 0n } : ipFromBytes(destination), prefix };
  return [
    {
      family: own,
      table,
      destination: network,
      gateway: gateway === undefined ? undefined : ipFromBytes(gateway),
      source: source === undefined ? undefined : ipFromBytes(source),
      links:
        multipath === undefined
          ? outputIndex === undefined
            ? []
            : [outputIndex]
          : decodeNextHops(multipath).map(({ index }) => index),
      key: `${formatCidr(network)} ${tos} ${priority}`,
      body,
    },
  ];
}
