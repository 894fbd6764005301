import {
  type AttributesOf,
  attribute,
  eachAttribute,
  HOST_IS_LITTLE as LITTLE,
  nest,
  raw,
  table,
  u8,
  u32,
  withoutAttributes,
} from '../attributes.ts';

/** <linux/rtnetlink.h> */
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;
export const RTPROT_KERNEL = 2;
export const RTPROT_BOOT = 3;
export const RTPROT_RA = 9;
export const RTM_F_CLONED = 0x200;
/** report the route as in its table, not as resolved for a packet */
export const RTM_F_FIB_MATCH = 0x2000;
export const RTN_UNICAST = 1;
const RTAX_MTU = 2;
const RTAX_ADVMSS = 8;

export const MetricsTable = table({ mtu: [RTAX_MTU, u32], advmss: [RTAX_ADVMSS, u32] });

export const RouteTable = table({
  destination: [1, raw],
  gateway: [5, raw],
  priority: [6, u32],
  source: [7, raw],
  outputIndex: [4, u32],
  metrics: [8, nest(MetricsTable)],
  multipath: [9, raw],
  cacheInfo: [12, raw],
  via: [18, raw],
  encapsulation: [22, raw],
  nexthopId: [30, u32],
  tableId: [15, u32],
  preference: [20, u8],
});
export type RouteAttributes = AttributesOf<typeof RouteTable>;

/** struct rtmsg, without unused fields */
export interface RtMessage {
  readonly family: number;
  readonly prefix: number;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly tos?: number;
  /** RTM_F_…, RTNH_F_… */
  readonly flags?: number;
}

const RTMSG_BYTES = 12;
const TABLE_BYTE = 4;
const FLAGS = 8;
const RTNEXTHOP_BYTES = 8;

export function encodeRoute(head: RtMessage, attributes: RouteAttributes): Uint8Array[] {
  const bytes = Buffer.alloc(RTMSG_BYTES);
  bytes.set([head.family, head.prefix, 0, head.tos ?? 0, head.table, head.protocol, head.scope, head.type]);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(FLAGS, head.flags ?? 0, LITTLE);
  return [bytes, ...RouteTable.encode(attributes)];
}

export function decodeRoute(body: Buffer): Required<RtMessage> & { readonly attributes: RouteAttributes } {
  const attributes = RouteTable.decode(body.subarray(RTMSG_BYTES));
  return {
    family: body.readUInt8(0),
    prefix: body.readUInt8(1),
    tos: body.readUInt8(3),
    table: attributes.tableId ?? body.readUInt8(4),
    protocol: body.readUInt8(5),
    scope: body.readUInt8(6),
    type: body.readUInt8(7),
    flags: new DataView(body.buffer, body.byteOffset).getUint32(FLAGS, LITTLE),
    attributes,
  };
}

const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_MULTIPATH = 9;
const RTA_CACHEINFO = 12;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTA_EXPIRES = 23;
const RTA_NH_ID = 30;
const TICKS_A_SECOND = 100;
/** next hop whose link is down, or without carrier */
export const RTNH_F_DEAD = 1;
export const RTNH_F_LINKDOWN = 16;
/** the flags allowed in a request; the others are state */
const RTNH_F_PERVASIVE = 2;
const RTNH_F_ONLINK = 4;

/**
 * Seconds until a dumped route expires.
 *
 * @returns undefined when it does not expire
 */
export function expiryOf({ cacheInfo }: RouteAttributes): number | undefined {
  if (cacheInfo === undefined || cacheInfo.length < 12) {
    return undefined;
  }
  const ticks = new DataView(cacheInfo.buffer, cacheInfo.byteOffset).getInt32(8, LITTLE); // struct rta_cacheinfo
  return ticks === 0 ? undefined : Math.ceil(ticks / TICKS_A_SECOND);
}

/** A dumped route that is in another table. */
export function routeInTable(body: Buffer, tableId: number): Buffer {
  const head = Buffer.from(body.subarray(0, RTMSG_BYTES));
  head.writeUInt8(tableId < 256 ? tableId : 0, TABLE_BYTE);
  const others = withoutAttributes(body.subarray(RTMSG_BYTES), [RTA_TABLE]);
  return Buffer.concat([head, others, attribute(RTA_TABLE, u32.encode(tableId) as Uint8Array, false)]);
}

/**
 * A dumped route as the request to delete it, and no other. One that uses a nexthop object is told by its id alone.
 */
export function deletedRoute(body: Buffer): Buffer {
  const { nexthopId } = decodeRoute(body).attributes;
  const copy = askedRoute(body, 0, 0);
  return nexthopId === undefined
    ? copy
    : Buffer.concat([
        copy.subarray(0, RTMSG_BYTES),
        withoutAttributes(copy.subarray(RTMSG_BYTES), [RTA_OIF, RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH]),
        attribute(RTA_NH_ID, u32.encode(nexthopId) as Uint8Array, false),
      ]);
}

/**
 * A dumped route as a request: without its state, and through a link that now has another index. The id of a nexthop
 * object is left out: the object went with the link.
 *
 * @param expires seconds until it expires; undefined: never
 */
export function askedRoute(body: Buffer, oldIndex: number, newIndex: number, expires?: number): Buffer {
  const copy = Buffer.concat([
    body.subarray(0, RTMSG_BYTES),
    withoutAttributes(body.subarray(RTMSG_BYTES), [RTA_CACHEINFO, RTA_NH_ID]),
    ...(expires === undefined ? [] : [attribute(RTA_EXPIRES, u32.encode(expires) as Uint8Array, false)]),
  ]);
  const words = new DataView(copy.buffer, copy.byteOffset);
  words.setUint32(FLAGS, words.getUint32(FLAGS, LITTLE) & (RTNH_F_PERVASIVE | RTNH_F_ONLINK), LITTLE);
  eachAttribute(copy.subarray(RTMSG_BYTES), (number, value) => {
    if (number === RTA_OIF) {
      reindex(value, 0, oldIndex, newIndex);
    } else if (number === RTA_MULTIPATH) {
      for (const start of nextHopStarts(value)) {
        value.writeUInt8(value.readUInt8(start + 2) & (RTNH_F_PERVASIVE | RTNH_F_ONLINK), start + 2);
        reindex(value, start + 4, oldIndex, newIndex);
      }
    }
  });
  return copy;
}

function reindex(bytes: Buffer, at: number, oldIndex: number, newIndex: number): void {
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  if (words.getInt32(at, LITTLE) === oldIndex) {
    words.setInt32(at, newIndex, LITTLE);
  }
}

export interface NextHop {
  readonly index: number;
  /** RTNH_F_DEAD, RTNH_F_LINKDOWN … */
  readonly flags: number;
}

/** struct rtnexthop, one after the other: length, flags, hops, index, attributes */
export function decodeNextHops(multipath: Buffer): readonly NextHop[] {
  const words = new DataView(multipath.buffer, multipath.byteOffset);
  return nextHopStarts(multipath).map((start) => ({
    index: words.getInt32(start + 4, LITTLE),
    flags: multipath.readUInt8(start + 2),
  }));
}

/**
 * A multipath route reduced to the next hops through one link.
 *
 * @param each one route per next hop, as the kernel stores IPv6 routes
 */
export function routesThrough(body: Buffer, index: number, each: boolean): readonly Buffer[] {
  const own = hopsOf(body, (hop) => hop.index === index);
  return own === undefined ? [body] : (each ? own : [Buffer.concat(own)]).map((hops) => withHops(body, hops));
}

/**
 * What is left of a route without the next hops through one link.
 *
 * @returns undefined when nothing is
 */
export function routeBeside(body: Buffer, index: number): Buffer | undefined {
  const others = hopsOf(body, (hop) => hop.index !== index) ?? [];
  return others.length === 0 ? undefined : withHops(body, Buffer.concat(others));
}

/** Each as it is in the attribute; undefined when the route has no such attribute. */
function hopsOf(body: Buffer, isWanted: (hop: NextHop) => boolean): readonly Buffer[] | undefined {
  const { multipath } = decodeRoute(body).attributes;
  if (multipath === undefined) {
    return undefined;
  }
  const starts = nextHopStarts(multipath);
  return decodeNextHops(multipath).flatMap((hop, nth) =>
    isWanted(hop) ? [multipath.subarray(starts[nth], starts[nth + 1])] : [],
  );
}

const withHops = (body: Buffer, hops: Buffer): Buffer =>
  Buffer.concat([
    body.subarray(0, RTMSG_BYTES),
    withoutAttributes(body.subarray(RTMSG_BYTES), [RTA_MULTIPATH]),
    attribute(RTA_MULTIPATH, hops, false),
  ]);

function nextHopStarts(multipath: Buffer): readonly number[] {
  const words = new DataView(multipath.buffer, multipath.byteOffset);
  const starts: number[] = [];
  for (let start = 0; start + RTNEXTHOP_BYTES <= multipath.length; ) {
    starts.push(start);
    start += Math.max(RTNEXTHOP_BYTES, (words.getUint16(start, LITTLE) + 3) & ~3);
  }
  return starts;
}
