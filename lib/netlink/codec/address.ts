import { type AttributesOf, HOST_IS_LITTLE as LITTLE, raw, table, u32 } from '../attributes.ts';

/** <linux/rtnetlink.h>, <linux/if_addr.h> */
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const IFA_F_DADFAILED = 0x08;
export const IFA_F_TENTATIVE = 0x40;

export const AddressTable = table({
  address: [1, raw],
  local: [2, raw],
  broadcast: [4, raw],
  flags: [8, u32],
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
  const attributes = AddressTable.decode(body.subarray(8));
  return {
    family: body.readUInt8(0),
    prefix: body.readUInt8(1),
    flags: attributes.flags ?? body.readUInt8(2),
    scope: body.readUInt8(3),
    index: new DataView(body.buffer, body.byteOffset).getUint32(4, LITTLE),
    attributes,
  };
}

/** An address that the kernel listed, for a link of another index. */
export function reindexedAddress(body: Buffer, index: number): Buffer {
  const copy = Buffer.from(body);
  new DataView(copy.buffer, copy.byteOffset).setUint32(4, index, LITTLE);
  return copy;
}
