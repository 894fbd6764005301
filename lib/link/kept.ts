import { messageOf } from '../cni/errors.ts';
import { type Ip, ipFromBytes, sameIp } from '../net/ip.ts';
import { decodeAddress, encodeAddress, RTM_GETADDR, RTM_NEWADDR, reindexedAddress } from '../netlink/codec/address.ts';
import {
  askedRoute,
  decodeNextHops,
  decodeRoute,
  encodeRoute,
  RT_TABLE_LOCAL,
  RTM_F_CLONED,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTPROT_KERNEL,
  RTPROT_RA,
} from '../netlink/codec/route.ts';
import { askedRule, decodeRule, encodeRule, RTM_GETRULE, RTM_NEWRULE } from '../netlink/codec/rule.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import { flatMapInTurn } from '../sys/in-turn.ts';

/*
 * Addresses, routes and rules as the kernel told them, to be asked for again: whatever attributes they have, also those
 * that this program does not know.
 */

const AF_INET = 2;
const AF_INET6 = 10;
const IFA_F_PERMANENT = 0x80;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;

/** Each a message of the kernel without its header. */
export interface Kept {
  /** index that the link had */
  readonly index: number;
  readonly addresses: readonly Buffer[];
  readonly routes: readonly Buffer[];
  readonly rules: readonly Buffer[];
}

/**
 * What would be lost if the link left the namespace, and the rules that name its addresses. What comes back by itself is
 * left out: routes of addresses, and what routers announced.
 *
 * @throws ErrnoError
 */
export async function keep(netlink: Conversation, index: number): Promise<Kept> {
  const addresses = (
    await listed(netlink, RTM_GETADDR, encodeAddress({ family: 0, prefix: 0, index }, {}), 'addresses')
  ).filter((body) => isKeptAddress(body, index));
  const own = addresses.flatMap((body) => addressIn(body) ?? []);
  const routes = await flatMapInTurn([AF_INET, AF_INET6], async (family) => {
    const head = { family, prefix: 0, table: 0, protocol: 0, scope: 0, type: 0 };
    // the kernel sends those through the link only: a node may have a hundred thousand others
    const body = encodeRoute(head, { outputIndex: index });
    return (await listed(netlink, RTM_GETROUTE, body, 'routes')).filter((route) => isKeptRoute(route, index));
  });
  const rules = await flatMapInTurn([AF_INET, AF_INET6], async (family) => {
    const head = { family, destinationPrefix: 0, sourcePrefix: 0, action: 0 };
    return (await listed(netlink, RTM_GETRULE, encodeRule(head, {}), 'rules')).filter((body) => namesOne(body, own));
  });
  return { index, addresses, routes, rules };
}

/**
 * Asks for it all again, for a link of whatever index; what is there already is no failure.
 *
 * @returns what could not be had
 */
export async function restore(netlink: Conversation, kept: Kept, index: number): Promise<readonly string[]> {
  return [
    ...(await restoreAddresses(netlink, kept, index)),
    ...(await restoreRules(netlink, kept)),
    ...(await restoreRoutes(netlink, kept, index)),
  ];
}

/** Those alone; routes need the link to be up. */
export function restoreAddresses(
  netlink: Conversation,
  { addresses }: Kept,
  index: number,
): Promise<readonly string[]> {
  return flatMapInTurn(asAdded(addresses), (body) =>
    faultOf(netlink, RTM_NEWADDR, reindexedAddress(body, index), 'restore an address', NLM_F_CREATE | NLM_F_EXCL),
  );
}

export const restoreRules = (netlink: Conversation, { rules }: Kept): Promise<readonly string[]> =>
  flatMapInTurn(rules, (body) =>
    faultOf(netlink, RTM_NEWRULE, askedRule(body), 'restore a rule', NLM_F_CREATE | NLM_F_EXCL),
  );

/** A route may need another one to reach its gateway: those that fail are tried again as long as some succeed. */
export async function restoreRoutes(netlink: Conversation, kept: Kept, index: number): Promise<readonly string[]> {
  let waiting: readonly { readonly body: Buffer; readonly fault: string }[] = kept.routes.map((body) => ({
    body: askedRoute(body, kept.index, index),
    fault: '',
  }));
  for (let before = waiting.length + 1; waiting.length < before && waiting.length > 0; ) {
    before = waiting.length;
    waiting = await flatMapInTurn(waiting, async ({ body }) => {
      const several = decodeRoute(body).attributes.multipath !== undefined;
      const flags = NLM_F_CREATE | (several ? NLM_F_REPLACE : NLM_F_APPEND); // of equal ones the first is used
      return (await faultOf(netlink, RTM_NEWROUTE, body, 'restore a route', flags)).map((fault) => ({ body, fault }));
    });
  }
  return waiting.map(({ fault }) => fault);
}

/** The kernel lists an IPv6 address before those that were there when it came. */
function asAdded(addresses: readonly Buffer[]): readonly Buffer[] {
  const isIpv6 = (body: Buffer): boolean => decodeAddress(body).family === AF_INET6;
  return [...addresses.filter((body) => !isIpv6(body)), ...addresses.filter(isIpv6).toReversed()];
}

const listed = async (
  netlink: Conversation,
  type: number,
  body: Uint8Array[],
  what: string,
): Promise<readonly Buffer[]> => netlink.dump({ type, body, operation: `list ${what}` });

async function faultOf(
  netlink: Conversation,
  type: number,
  body: Buffer,
  operation: string,
  flags: number,
): Promise<readonly string[]> {
  try {
    await netlink.change({ type, flags, body: [body], operation });
    return [];
  } catch (error) {
    return hasErrno(error, 'EEXIST') ? [] : [messageOf(error)];
  }
}

/** IPv6 addresses that are not permanent are a router's announcement, or made of one. */
function isKeptAddress(body: Buffer, index: number): boolean {
  const address = decodeAddress(body);
  return address.index === index && (address.family === AF_INET || (address.flags & IFA_F_PERMANENT) !== 0);
}

function addressIn(body: Buffer): Ip | undefined {
  const { attributes } = decodeAddress(body);
  const bytes = attributes.local ?? attributes.address;
  return bytes === undefined ? undefined : ipFromBytes(bytes);
}

function isKeptRoute(body: Buffer, index: number): boolean {
  const { table, protocol, flags, attributes } = decodeRoute(body);
  const isOwn =
    attributes.outputIndex === index ||
    (attributes.multipath !== undefined && decodeNextHops(attributes.multipath).some((hop) => hop.index === index));
  return (
    isOwn &&
    table !== RT_TABLE_LOCAL &&
    protocol !== RTPROT_KERNEL &&
    protocol !== RTPROT_RA &&
    (flags & RTM_F_CLONED) === 0
  );
}

function namesOne(body: Buffer, addresses: readonly Ip[]): boolean {
  const { source, destination } = decodeRule(body).attributes;
  return [source, destination].some(
    (bytes) => bytes !== undefined && addresses.some((ip) => sameIp(ip, ipFromBytes(bytes))),
  );
}
