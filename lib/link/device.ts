import { type Mac, macBytes } from '../net/mac.ts';
import {
  AfSpecTable,
  decodeLink,
  encodeLink,
  IFF_UP,
  type IfInfo,
  type LinkAttributes,
  RTM_DELLINKPROP,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_NEWLINKPROP,
  RTM_SETLINK,
  WITHOUT_STATS,
} from '../netlink/codec/link.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import { dumpLinks, factsOf, type LinkFacts, macIn, queryFor } from './observe.ts';

/** What the kernel says of a link that existed before us: a NIC, or one of its functions. */
export interface DeviceFacts extends LinkFacts {
  /** the address that the hardware has; '' when the driver does not tell */
  readonly permanentMac: Mac | '';
  /** `0000:65:02.3`: the device on its bus, the same in every namespace; '' before Linux 5.14 and for virtual links */
  readonly parentDev: string;
  /** IFF_… */
  readonly flags: number;
  readonly txQueueLength: number;
  readonly group: number;
  /** settings of the address families, as the kernel numbers them; empty when the family is off */
  readonly inetConf: Buffer;
  readonly inet6Conf: Buffer;
}

interface Named {
  readonly index: number;
  readonly name: string;
}

/**
 * A device by its name or one of its alternative names.
 *
 * @returns undefined when there is none
 * @throws ErrnoError
 */
export async function findDevice(netlink: Conversation, name: string): Promise<DeviceFacts | undefined> {
  const query = queryFor(name);
  return query === undefined ? undefined : getDevice(netlink, {}, query, `look up link "${name}"`);
}

/** A device by its index. */
export const findDeviceByIndex = async (netlink: Conversation, index: number): Promise<DeviceFacts | undefined> =>
  getDevice(netlink, { index }, { extMask: WITHOUT_STATS }, `look up link ${index}`);

/** Every link of the namespace, in the order of their indexes. */
export const listDevices = async (netlink: Conversation): Promise<readonly DeviceFacts[]> =>
  (await dumpLinks(netlink)).map(deviceOf);

/** Sets a link down. */
export async function setDown(netlink: Conversation, link: Named): Promise<void> {
  await setFlags(netlink, link, 0, IFF_UP);
}

/** @param mask which of IFF_… shall be as in `flags` */
export async function setFlags(netlink: Conversation, link: Named, flags: number, mask: number): Promise<void> {
  const body = encodeLink({ index: link.index, flags: flags & mask, change: mask }, {});
  await netlink.change({ type: RTM_NEWLINK, body, operation: `change the flags of link "${link.name}"` });
}

export const setMac = async (netlink: Conversation, link: Named, mac: Mac): Promise<void> =>
  change(netlink, link, { address: macBytes(mac) }, `set the hardware address ${mac}`);

export const setMtu = async (netlink: Conversation, link: Named, mtu: number): Promise<void> =>
  change(netlink, link, { mtu }, `set the MTU ${mtu}`);

/** @param alias '' takes it away */
export const setAlias = async (netlink: Conversation, link: Named, alias: string): Promise<void> =>
  change(netlink, link, { ifAlias: alias }, `set the alias ${JSON.stringify(alias)}`);

/** Other attributes of a link. */
export async function change(
  netlink: Conversation,
  link: Named,
  attributes: LinkAttributes,
  what: string,
): Promise<void> {
  const body = encodeLink({ index: link.index }, attributes);
  await netlink.change({ type: RTM_SETLINK, body, operation: `${what} of link "${link.name}"` });
}

/** @throws ErrnoError EEXIST when something in the namespace has the name */
export async function addAltName(netlink: Conversation, link: Named, name: string): Promise<void> {
  await netlink.change({
    type: RTM_NEWLINKPROP,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: encodeLink({ index: link.index }, { propList: { altIfNames: [name] } }),
    operation: `give link "${link.name}" the alternative name "${name}"`,
    whenDone: 'EEXIST',
  });
}

/** All of them with one request. Names that are not there are no failure. */
export async function deleteAltNames(netlink: Conversation, link: Named, names: readonly string[]): Promise<void> {
  if (names.length === 0) {
    return;
  }
  try {
    await netlink.change({
      type: RTM_DELLINKPROP,
      body: encodeLink({ index: link.index }, { propList: { altIfNames: names } }),
      operation: `take the alternative names from link "${link.name}"`,
    });
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) {
      throw error;
    }
    for (const name of names) {
      await deleteAltName(netlink, link, name); // the kernel stops at the first that is not there
    }
  }
}

/** A name that is not there is no failure. */
export async function deleteAltName(netlink: Conversation, link: Named, name: string): Promise<void> {
  try {
    await netlink.change({
      type: RTM_DELLINKPROP,
      body: encodeLink({ index: link.index }, { propList: { altIfNames: [name] } }),
      operation: `take the alternative name "${name}" from link "${link.name}"`,
    });
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) {
      throw error;
    }
  }
}

async function getDevice(
  netlink: Conversation,
  info: IfInfo,
  query: LinkAttributes,
  operation: string,
): Promise<DeviceFacts | undefined> {
  try {
    return deviceOf(await netlink.ask({ type: RTM_GETLINK, body: encodeLink(info, query), operation }));
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) {
      return undefined;
    }
    throw error;
  }
}

const NOTHING = Buffer.alloc(0);

/** What an answer of the kernel says. */
export function deviceOf(body: Buffer): DeviceFacts {
  const { flags, attributes } = decodeLink(body);
  const families = attributes.afSpec === undefined ? {} : AfSpecTable.decode(attributes.afSpec);
  const { kindData: _, ...facts } = factsOf(body); // some of it changes by itself: timers of a bridge
  return {
    ...facts,
    permanentMac: macIn(attributes.permAddress),
    parentDev: attributes.parentDevName ?? '',
    flags,
    txQueueLength: attributes.txQueueLength ?? 0,
    group: attributes.group ?? 0,
    inetConf: families.inet?.conf ?? NOTHING,
    inet6Conf: families.inet6?.conf ?? NOTHING,
  };
}
