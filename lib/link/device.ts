import { formatMac, parseMac } from '../net/mac.ts';
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
import { hasErrno } from '../netlink/errno.ts';
import type { Netlink } from '../netlink/netlink.ts';
import { factsOf, type LinkFacts, queryFor } from './observe.ts';

const NLM_F_CREATE_EXCL = 0x600;

/** What the kernel says of a link that existed before us: a NIC, or one of its functions. */
export interface DeviceFacts extends LinkFacts {
  readonly altNames: readonly string[];
  /** '' when there is none */
  readonly alias: string;
  /** the address that the hardware has; '' when the driver does not tell */
  readonly permanentMac: string;
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
export function findDevice(netlink: Netlink, name: string): DeviceFacts | undefined {
  const query = queryFor(name);
  return query === undefined ? undefined : getDevice(netlink, {}, query, `look up link "${name}"`);
}

/** A device by its index. */
export const findDeviceByIndex = (netlink: Netlink, index: number): DeviceFacts | undefined =>
  getDevice(netlink, { index }, { extMask: WITHOUT_STATS }, `look up link ${index}`);

/** Every link of the namespace, in the order of their indexes. */
export function listDevices(netlink: Netlink): readonly DeviceFacts[] {
  const body = encodeLink({}, { extMask: WITHOUT_STATS });
  return netlink.dump({ type: RTM_GETLINK, body, operation: 'list links' }).map(deviceOf);
}

/** Sets a link down. */
export function setDown(netlink: Netlink, link: Named): void {
  setFlags(netlink, link, 0, IFF_UP);
}

/** @param mask which of IFF_… shall be as in `flags` */
export function setFlags(netlink: Netlink, link: Named, flags: number, mask: number): void {
  const body = encodeLink({ index: link.index, flags: flags & mask, change: mask }, {});
  netlink.request({ type: RTM_NEWLINK, body, operation: `change the flags of link "${link.name}"` });
}

/** @param mac colon form */
export function setMac(netlink: Netlink, link: Named, mac: string): void {
  const address = parseMac(mac);
  change(netlink, link, { ...(address === undefined ? {} : { address }) }, `set the hardware address ${mac}`);
}

export const setMtu = (netlink: Netlink, link: Named, mtu: number): void =>
  change(netlink, link, { mtu }, `set the MTU ${mtu}`);

/** @param alias '' takes it away */
export const setAlias = (netlink: Netlink, link: Named, alias: string): void =>
  change(netlink, link, { ifAlias: alias }, `set the alias ${JSON.stringify(alias)}`);

/** Other attributes of a link. */
export function change(netlink: Netlink, link: Named, attributes: LinkAttributes, what: string): void {
  const body = encodeLink({ index: link.index }, attributes);
  netlink.request({ type: RTM_SETLINK, body, operation: `${what} of link "${link.name}"` });
}

/** @throws ErrnoError EEXIST when something in the namespace has the name */
export function addAltName(netlink: Netlink, link: Named, name: string): void {
  netlink.request({
    type: RTM_NEWLINKPROP,
    flags: NLM_F_CREATE_EXCL,
    body: encodeLink({ index: link.index }, { propList: { altIfNames: [name] } }),
    operation: `give link "${link.name}" the alternative name "${name}"`,
  });
}

/** A name that is not there is no failure. */
export function deleteAltName(netlink: Netlink, link: Named, name: string): void {
  try {
    netlink.request({
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

function getDevice(netlink: Netlink, info: IfInfo, query: LinkAttributes, operation: string): DeviceFacts | undefined {
  try {
    return deviceOf(netlink.get({ type: RTM_GETLINK, body: encodeLink(info, query), operation }));
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) {
      return undefined;
    }
    throw error;
  }
}

const NOTHING = Buffer.alloc(0);

function deviceOf(body: Buffer): DeviceFacts {
  const { flags, attributes } = decodeLink(body);
  const families = attributes.afSpec === undefined ? {} : AfSpecTable.decode(attributes.afSpec);
  return {
    ...factsOf(body),
    altNames: attributes.propList?.altIfNames ?? [],
    alias: attributes.ifAlias ?? '',
    permanentMac: attributes.permAddress === undefined ? '' : formatMac(attributes.permAddress),
    parentDev: attributes.parentDevName ?? '',
    flags,
    txQueueLength: attributes.txQueueLength ?? 0,
    group: attributes.group ?? 0,
    inetConf: families.inet?.conf ?? NOTHING,
    inet6Conf: families.inet6?.conf ?? NOTHING,
  };
}
