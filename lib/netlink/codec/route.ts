import { type AttributesOf, HOST_IS_LITTLE as LITTLE, nest, raw, table, u32 } from '../attributes.ts';

/** <linux/rtnetlink.h> */
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RT_TABLE_MAIN = 254;
export const RTPROT_BOOT = 3;
export const RTN_UNICAST = 1;
const RTAX_MTU = 2;
const RTAX_ADVMSS = 8;

export const MetricsTable = table({ mtu: [RTAX_MTU, u32], advmss: [RTAX_ADVMSS, u32] });

export const RouteTable = table({
  destination: [1, raw],
  gateway: [5, raw],
  priority: [6, u32],
  outputIndex: [4, u32],
  metrics: [8, nest(MetricsTable)],
  multipath: [9, raw],
  tableId: [15, u32],
});
export type RouteAttributes = AttributesOf<typeof RouteTable>;

/** struct rtmsg, less what nobody sets */
export interface RtMessage {
  readonly family: number;
  readonly prefix: number;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
}

const RTMSG_BYTES = 12;

export function encodeRoute(head: RtMessage, attributes: RouteAttributes): Uint8Array[] {
  const bytes = Buffer.alloc(RTMSG_BYTES);
  bytes.set([head.family, head.prefix, 0, 0, head.table, head.protocol, head.scope, head.type]);
  return [bytes, ...RouteTable.encode(attributes)];
}

export function decodeRoute(body: Buffer): RtMessage & { readonly attributes: RouteAttributes } {
  const attributes = RouteTable.decode(body.subarray(RTMSG_BYTES));
  return {
    family: body.readUInt8(0),
    prefix: body.readUInt8(1),
    table: attributes.tableId ?? body.readUInt8(4),
    protocol: body.readUInt8(5),
    scope: body.readUInt8(6),
    type: body.readUInt8(7),
    attributes,
  };
}

export interface NextHop {
  readonly index: number;
  /** RTNH_F_DEAD, RTNH_F_LINKDOWN … */
  readonly flags: number;
}

/** struct rtnexthop, one after the other: length, flags, hops, index, attributes */
export function decodeNextHops(multipath: Buffer): readonly NextHop[] {
  const hops: NextHop[] = [];
  for (let rest = multipath; rest.length >= 8; ) {
    const words = new DataView(rest.buffer, rest.byteOffset);
    hops.push({ index: words.getInt32(4, LITTLE), flags: rest.readUInt8(2) });
    rest = rest.subarray(Math.max(8, (words.getUint16(0, LITTLE) + 3) & ~3));
  }
  return hops;
}
