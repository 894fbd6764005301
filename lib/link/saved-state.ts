import { uptime } from 'node:os';
import { type Ip, ipFromBytes, sameIp } from '../net/ip.ts';
import {
  decodeAddress,
  encodeAddress,
  IFA_F_MANAGETEMPADDR,
  IFA_F_NOPREFIXROUTE,
  IFA_F_TEMPORARY,
  IFAPROT_KERNEL_RA,
  RTM_GETADDR,
} from '../netlink/codec/address.ts';
import {
  decodeNextHops,
  decodeRoute,
  encodeRoute,
  expiryOf,
  RT_TABLE_LOCAL,
  RTM_F_CLONED,
  RTM_GETROUTE,
  RTPROT_KERNEL,
  RTPROT_RA,
} from '../netlink/codec/route.ts';
import { decodeRule, encodeRule, RTM_GETRULE } from '../netlink/codec/rule.ts';
import { AF_INET, AF_INET6 } from '../netlink/constants.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { flatMapInTurn } from '../sys/in-turn.ts';
import { addressIn, routeText } from './told.ts';

/*
 * Addresses, routes and rules as the kernel told them, to be asked for again: whatever attributes they have, also those
 * that this program does not know.
 */

/** Each a message of the kernel without its header. */
export interface NetworkState {
  /** index that the link had */
  readonly index: number;
  /** when they were told, in seconds since the node was started: lifetimes run from then on */
  readonly takenAt?: number | undefined;
  readonly addresses: readonly Buffer[];
  readonly routes: readonly Buffer[];
  readonly rules: readonly Buffer[];
}

/**
 * What would be lost if the link left the namespace, and the rules that name its addresses. What comes back by itself is
 * left out: routes of addresses, and what the kernel has made of a router's announcement.
 *
 * @throws ErrnoError
 */
export async function saveState(netlink: Conversation, index: number): Promise<NetworkState> {
  const takenAt = Math.floor(uptime());
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
  return { index, takenAt, addresses, routes, rules };
}

/** Routes through nexthop objects, which go with their link: they are plain routes from then on. */
export const nexthopsLost = ({ routes }: NetworkState): readonly string[] =>
  routes.flatMap((body) => {
    const { nexthopId } = decodeRoute(body).attributes;
    return nexthopId === undefined
      ? []
      : [`route ${routeText(body)} does without nexthop object ${nexthopId}, which went with the link`];
  });

const listed = async (
  netlink: Conversation,
  type: number,
  body: Uint8Array[],
  what: string,
): Promise<readonly Buffer[]> => netlink.dump({ type, body, operation: `list ${what}` });

function isKeptAddress(body: Buffer, index: number): boolean {
  const address = decodeAddress(body);
  return address.index === index && (address.family === AF_INET || !isMadeByKernel(address));
}

/**
 * Has the kernel made the address of a router's announcement? Then it makes it again. Before 5.18 it does not say so of
 * itself; but an address of which it makes temporary ones has, when a program has set it, no route of its own.
 */
function isMadeByKernel({ flags, attributes: { protocol } }: ReturnType<typeof decodeAddress>): boolean {
  const isParent = (flags & IFA_F_MANAGETEMPADDR) !== 0 && (flags & IFA_F_NOPREFIXROUTE) === 0;
  return (flags & IFA_F_TEMPORARY) !== 0 || (protocol === undefined ? isParent : protocol === IFAPROT_KERNEL_RA);
}

/** Of a router's announcement the kernel makes routes that end; what a program makes of one does not, or is its own. */
function isKeptRoute(body: Buffer, index: number): boolean {
  const { table, protocol, flags, attributes } = decodeRoute(body);
  const isOwn =
    attributes.outputIndex === index ||
    (attributes.multipath !== undefined && decodeNextHops(attributes.multipath).some((hop) => hop.index === index));
  const isMade = protocol === RTPROT_KERNEL || (protocol === RTPROT_RA && expiryOf(attributes) !== undefined);
  return isOwn && !isMade && table !== RT_TABLE_LOCAL && (flags & RTM_F_CLONED) === 0;
}

function namesOne(body: Buffer, addresses: readonly Ip[]): boolean {
  const { source, destination } = decodeRule(body).attributes;
  return [source, destination].some(
    (bytes) => bytes !== undefined && addresses.some((ip) => sameIp(ip, ipFromBytes(bytes))),
  );
}
