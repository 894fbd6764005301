import {
  type AttributesOf,
  bareText,
  HOST_IS_LITTLE as LITTLE,
  many,
  nest,
  raw,
  table,
  text,
  u8,
  u32,
} from '../attributes.ts';
import { AF_INET, AF_INET6 } from '../constants.ts';

/** <linux/rtnetlink.h>, <linux/if.h>, <linux/if_link.h> */
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWLINKPROP = 108;
export const RTM_DELLINKPROP = 109;
export const IFF_UP = 1;
export const IFF_LOOPBACK = 8;
export const IFF_NOARP = 0x80;
export const IFF_PROMISC = 0x100;
export const IFF_ALLMULTI = 0x200;
export const IFF_MULTICAST = 0x1000;
const IFLA_ALT_IFNAME = 53;
const IFLA_INET_CONF = 1;
const IFLA_INET6_CONF = 2;
const RTEXT_FILTER_SKIP_STATS = 8;

export const LinkInfoTable = table({
  kind: [1, bareText],
  data: [2, raw],
  slaveKind: [4, bareText],
});

/** Per-link settings of the address families, as numbers in the order of the kernel's headers. */
const FamilyTable = table({ conf: [IFLA_INET_CONF, raw] });
const Family6Table = table({ conf: [IFLA_INET6_CONF, raw] });
export const AfSpecTable = table({ inet: [AF_INET, nest(FamilyTable)], inet6: [AF_INET6, nest(Family6Table)] });

export const PropListTable = table({
  altIfNames: [IFLA_ALT_IFNAME, many(text)],
});

export const LinkTable = table({
  link: [5, u32],
  address: [1, raw],
  ifName: [3, text],
  mtu: [4, u32],
  master: [10, u32],
  txQueueLength: [13, u32],
  operState: [16, u8],
  netNsPid: [19, u32],
  ifAlias: [20, bareText],
  afSpec: [26, raw],
  group: [27, u32],
  netNsFd: [28, u32],
  extMask: [29, u32],
  linkInfo: [18, nest(LinkInfoTable)],
  propList: [52, nest(PropListTable, true)],
  altIfName: [IFLA_ALT_IFNAME, text],
  newIfIndex: [49, u32],
  permAddress: [54, raw],
  parentDevName: [56, text],
  parentDevBusName: [57, text],
  netnsImmutable: [67, u8],
});

export type LinkAttributes = AttributesOf<typeof LinkTable>;

export interface IfInfo {
  readonly index?: number;
  readonly type?: number;
  readonly flags?: number;
  readonly change?: number;
}

/** struct ifinfomsg: family, pad, type, index, flags, change */
export function encodeLink(info: IfInfo, attributes: LinkAttributes): Uint8Array[] {
  const head = Buffer.alloc(16);
  const words = new DataView(head.buffer, head.byteOffset, head.length);
  words.setUint16(2, info.type ?? 0, LITTLE);
  words.setInt32(4, info.index ?? 0, LITTLE);
  words.setUint32(8, info.flags ?? 0, LITTLE);
  words.setUint32(12, info.change ?? 0, LITTLE);
  return [head, ...LinkTable.encode(attributes)];
}

export function decodeLink(body: Buffer): Required<Omit<IfInfo, 'change'>> & { readonly attributes: LinkAttributes } {
  const words = new DataView(body.buffer, body.byteOffset, body.length);
  return {
    type: words.getUint16(2, LITTLE),
    index: words.getInt32(4, LITTLE),
    flags: words.getUint32(8, LITTLE),
    attributes: LinkTable.decode(body.subarray(16)),
  };
}

/** Statistics are the bulk of an answer and unused here. */
export const WITHOUT_STATS = RTEXT_FILTER_SKIP_STATS;
