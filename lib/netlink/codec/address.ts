import { type AttributesOf, eachAttribute, HOST_IS_LITTLE as LITTLE, raw, table, u8, u32 } from '../attributes.ts';

/** <linux/rtnetlink.h>, <linux/if_addr.h> */
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const IFA_F_TEMPORARY = 0x01;
export const IFA_F_DADFAILED = 0x08;
export const IFA_F_TENTATIVE = 0x40;
export const IFA_F_MANAGETEMPADDR = 0x100;
export const IFA_F_NOPREFIXROUTE = 0x200;
/** origin of an address: not reported before Linux 5.18, nor for addresses set by programs */
export const IFAPROT_KERNEL_RA = 2;
const IFADDRMSG_BYTES = 8;
const IFA_CACHEINFO = 6;
const FOREVER = 0xffff_ffff;

export const AddressTable = table({
  address: [1, raw],
  local: [2, raw],
  broadcast: [4, raw],
  flags: [8, u32],
  protocol: [11, u8],
});

/** struct ifaddrmsg */
export interface IfAddr {
  readonly family: number;
  readonly prefix: number;
  readonly flags?: number;
  readonly scope?: number;
  readonly index: number;
}

export function encodeAddress(head: IfAddr, attributes: AttributesOf<typeof AddressTable>): Uint8Array[] {
  const bytes = Buffer.from([head.family, head.prefix, head.flags ?? 0, head.scope ?? 0, 0, 0, 0, 0]);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, head.index, LITTLE);
  return [bytes, ...AddressTable.encode(attributes)];
}

export function decodeAddress(body: Buffer): Required<IfAddr> & { attributes: AttributesOf<typeof AddressTable> } {
  const attributes = AddressTable.decode(body.subarray(IFADDRMSG_BYTES));
  return {
    family: body.readUInt8(0),
    prefix: body.readUInt8(1),
    flags: attributes.flags ?? body.readUInt8(2),
    scope: body.readUInt8(3),
    index: new DataView(body.buffer, body.byteOffset).getUint32(4, LITTLE),
    attributes,
  };
}

/** A dumped address, for a link with another index. */
export function reindexedAddress(body: Buffer, index: number): Buffer {
  const copy = Buffer.from(body);
  new DataView(copy.buffer, copy.byteOffset).setUint32(4, index, LITTLE);
  return copy;
}

/**
 * An address dumped some time ago, with its remaining lifetimes.
 *
 * @returns undefined when it has expired
 */
export function agedAddress(body: Buffer, seconds: number): Buffer | undefined {
  const copy = Buffer.from(body);
  let isOver = false;
  eachAttribute(copy.subarray(IFADDRMSG_BYTES), (number, value) => {
    if (number === IFA_CACHEINFO) {
      age(value, 0, seconds); // preferred
      isOver = age(value, 4, seconds) === 0; // valid
    }
  });
  return isOver ? undefined : copy;
}

/** struct ifa_cacheinfo: lifetimes in seconds */
function age(lifetimes: Buffer, at: number, seconds: number): number {
  const words = new DataView(lifetimes.buffer, lifetimes.byteOffset, lifetimes.length);
  const told = words.getUint32(at, LITTLE);
  const left = told === FOREVER ? FOREVER : Math.max(0, told - seconds);
  words.setUint32(at, left, LITTLE);
  return left;
}
