import { type Ip, ipFromBytes } from '../net/ip.ts';
import { formatMac, type Mac } from '../net/mac.ts';
import { decodeAddress, encodeAddress, RTM_GETADDR } from '../netlink/codec/address.ts';
import {
  decodeLink,
  encodeLink,
  IFF_UP,
  type LinkAttributes,
  RTM_GETLINK,
  WITHOUT_STATS,
} from '../netlink/codec/link.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';

const OPER_UP = 6;
/** IFNAMSIZ and ALTIFNAMSIZ, less the final NUL */
const LONGEST_NAME = 15;
const LONGEST_ALTERNATIVE = 127;

/** What the kernel says of a link. */
export interface LinkFacts {
  readonly index: number;
  readonly name: string;
  readonly altNames: readonly string[];
  /** '' when there is none */
  readonly alias: string;
  /** '' when it has none */
  readonly mac: Mac | '';
  readonly mtu: number;
  readonly isUp: boolean;
  /** up, and so is what lies below */
  readonly isRunning: boolean;
  /** `veth`, `bridge`, …; '' for a physical device */
  readonly kind: string;
  /** IFLA_INFO_DATA: what only links of its kind have */
  readonly kindData?: Buffer | undefined;
  /** IFLA_LINK: the link below, in whatever namespace it is */
  readonly parentIndex: number | undefined;
  /** what the link is enslaved to */
  readonly masterIndex: number | undefined;
  readonly slaveKind: string;
}

/** An address of a link; `flags` are IFA_F_…. */
export interface AddressFacts {
  readonly ip: Ip;
  readonly prefix: number;
  readonly flags: number;
}

/**
 * A link by its name or one of its alternative names.
 *
 * @returns undefined when there is none
 * @throws ErrnoError
 */
export async function findLink(netlink: Conversation, name: string): Promise<LinkFacts | undefined> {
  const query = queryFor(name);
  return query === undefined ? undefined : getLink(netlink, 0, query, `look up link "${name}"`);
}

/** What a look-up by name asks; undefined for what no link can be called. */
export function queryFor(name: string): LinkAttributes | undefined {
  const length = Buffer.byteLength(name);
  if (length > LONGEST_ALTERNATIVE) {
    return undefined;
  }
  return { ...(length > LONGEST_NAME ? { altIfName: name } : { ifName: name }), extMask: WITHOUT_STATS };
}

/** A link by its index. */
export async function findLinkByIndex(netlink: Conversation, index: number): Promise<LinkFacts | undefined> {
  return getLink(netlink, index, { extMask: WITHOUT_STATS }, `look up link ${index}`);
}

/** Every link of the namespace, in the order of their indexes. */
export const listLinks = async (netlink: Conversation): Promise<readonly LinkFacts[]> =>
  (await dumpLinks(netlink)).map(factsOf);

/** The names of all links, alternative ones among them: the kernel gives none of them to another link. */
export const listLinkNames = async (netlink: Conversation): Promise<readonly string[]> =>
  (await dumpLinks(netlink)).flatMap((answer) => {
    const { ifName = '', propList } = decodeLink(answer).attributes;
    return [ifName, ...(propList?.altIfNames ?? [])];
  });

/** The messages of all links. */
export function dumpLinks(netlink: Conversation): Promise<readonly Buffer[]> {
  const body = encodeLink({}, { extMask: WITHOUT_STATS });
  return netlink.dump({ type: RTM_GETLINK, body, operation: 'list links' });
}

/** The addresses of one link, both families. */
export const listAddresses = (netlink: Conversation, index: number): Promise<readonly AddressFacts[]> =>
  addressesOf(netlink, index, `list the addresses of link ${index}`);

/** The addresses of all links, both families. */
export const listAllAddresses = (netlink: Conversation): Promise<readonly AddressFacts[]> =>
  addressesOf(netlink, 0, 'list addresses');

/** @param index 0: of all links */
async function addressesOf(netlink: Conversation, index: number, operation: string): Promise<readonly AddressFacts[]> {
  const body = encodeAddress({ family: 0, prefix: 0, index }, {});
  return (await netlink.dump({ type: RTM_GETADDR, body, operation }))
    .map(decodeAddress)
    .filter((address) => index === 0 || address.index === index)
    .flatMap(({ prefix, flags, attributes }) => {
      const bytes = attributes.local ?? attributes.address;
      return bytes === undefined ? [] : [{ ip: ipFromBytes(bytes), prefix, flags }];
    });
}

async function getLink(
  netlink: Conversation,
  index: number,
  query: LinkAttributes,
  operation: string,
): Promise<LinkFacts | undefined> {
  try {
    return factsOf(await netlink.ask({ type: RTM_GETLINK, body: encodeLink({ index }, query), operation }));
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) {
      return undefined;
    }
    throw error;
  }
}

/** What an answer of the kernel says. */
export function factsOf(body: Buffer): LinkFacts {
  const { index, flags, attributes } = decodeLink(body);
  const { kind = '', slaveKind = '', data } = attributes.linkInfo ?? {};
  return {
    index,
    name: attributes.ifName ?? '',
    altNames: attributes.propList?.altIfNames ?? [],
    alias: attributes.ifAlias ?? '',
    mac: macIn(attributes.address),
    mtu: attributes.mtu ?? 0,
    isUp: (flags & IFF_UP) !== 0,
    isRunning: attributes.operState === OPER_UP,
    kind,
    kindData: data,
    parentIndex: attributes.link,
    masterIndex: attributes.master,
    slaveKind,
  };
}

/** The address in an attribute; '' when there is none. */
export const macIn = (bytes: Buffer | undefined): Mac | '' =>
  bytes === undefined || bytes.length === 0 ? '' : formatMac(bytes);
