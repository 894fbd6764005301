import type { Cidr } from '../net/cidr.ts';
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
import type { Conversation, Request } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import { routeText } from './told.ts';

/* Routes as the kernel told them, which are put into another table with all that they have. */

/** A route as told. Of most of a table only this is asked; `routeFacts` tells more. */
export interface ToldRoute {
  readonly family: Family;
  readonly table: number;
  /** each link that it leads through */
  readonly links: readonly number[];
  readonly prefix: number;
  readonly body: Buffer;
}

/** Where a route leads, and for whom. */
export interface ToldFacts {
  readonly destination: Cidr;
  readonly gateway: Ip | undefined;
  readonly source: Ip | undefined;
  /** the same for routes of one table of which the kernel lets one replace the other */
  readonly key: string;
}

/** Every route of every table for IPv4 and IPv6, whatever its type. */
export async function tellRoutes(netlink: Conversation): Promise<readonly ToldRoute[]> {
  const head = { family: 0, prefix: 0, table: 0, protocol: 0, scope: 0, type: 0 };
  const bodies = await netlink.dump({ type: RTM_GETROUTE, body: encodeRoute(head, {}), operation: 'list routes' });
  return bodies.flatMap(toldRoute);
}

/**
 * Puts a route into another table.
 *
 * @param how `replace` what has its key there, or `append` it, which the kernel takes after the one before
 */
export function copyingRoute({ body }: ToldRoute, table: number, how: 'replace' | 'append'): Request {
  const moved = routeInTable(asked(body), table);
  return {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | (how === 'replace' ? NLM_F_REPLACE : NLM_F_APPEND),
    body: [moved],
    operation: `add route ${routeText(moved)}`,
    whenDone: 'EEXIST',
  };
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

/** Deletes a route where it was told: ESRCH when it is gone. */
export const deletingRoute = ({ body }: ToldRoute): Request => ({
  type: RTM_DELROUTE,
  body: [asked(body)],
  operation: `delete route ${routeText(body)}`,
});

/** The same; one that is gone is no failure. */
export async function deleteRoute(netlink: Conversation, route: ToldRoute): Promise<void> {
  try {
    await netlink.change(deletingRoute(route));
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

function toldRoute(body: Buffer): readonly ToldRoute[] {
  const { family, prefix, table, flags, attributes } = decodeRoute(body);
  if (![AF_INET, AF_INET6].includes(family) || (flags & RTM_F_CLONED) !== 0) {
    return [];
  }
  const { outputIndex, multipath } = attributes;
  const one = outputIndex === undefined ? [] : [outputIndex];
  const links = multipath === undefined ? one : decodeNextHops(multipath).map(({ index }) => index);
  return [{ family: family === AF_INET ? 4 : 6, table, links, prefix, body }];
}

export function routeFacts({ family, prefix, body }: ToldRoute): ToldFacts {
  const { tos, attributes } = decodeRoute(body);
  const { destination, gateway, source, priority = 0 } = attributes;
  const ipIn = (bytes: Buffer | undefined): Ip | undefined => (bytes === undefined ? undefined : ipFromBytes(bytes));
  return {
    destination: { ip: ipIn(destination) ?? { family, value: 0n }, prefix },
    gateway: ipIn(gateway),
    source: ipIn(source),
    key: `${family} ${destination?.toString('hex') ?? ''}/${prefix} ${tos} ${priority}`,
  };
}
