import { type AttributesOf, eachAttribute, HOST_IS_LITTLE as LITTLE, raw, table, u8, u32 } from '../attributes.ts';

/** <linux/rtnetlink.h>, <linux/fib_rules.h> */
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;
/** look the destination up in a table */
export const FR_ACT_TO_TBL = 1;
const FIB_RULE_PERMANENT = 1;
const FIB_RULE_INVERT = 2;

export const RuleTable = table({
  destination: [1, raw],
  source: [2, raw],
  priority: [6, u32],
  tableId: [15, u32],
  protocol: [21, u8],
});
export type RuleAttributes = AttributesOf<typeof RuleTable>;

/** struct fib_rule_hdr */
export interface RuleHead {
  readonly family: number;
  readonly destinationPrefix: number;
  readonly sourcePrefix: number;
  /** FR_ACT_… */
  readonly action: number;
}

const FRA_SUPPRESS_PREFIXLEN = 14;
/** Those that select nothing but a source: FRA_SRC, FRA_PRIORITY, FRA_TABLE, FRA_PAD, FRA_PROTOCOL. */
const ABOUT_SOURCE = [2, 6, 15, 18, 21];
const HEAD_BYTES = 12;
const TOS_BYTE = 3;
const TABLE_BYTE = 4;
const FLAGS = 8;

export function decodeRule(body: Buffer): RuleHead & { readonly table: number; readonly attributes: RuleAttributes } {
  const attributes = RuleTable.decode(body.subarray(HEAD_BYTES));
  return {
    family: body.readUInt8(0),
    destinationPrefix: body.readUInt8(1),
    sourcePrefix: body.readUInt8(2),
    action: body.readUInt8(7),
    table: attributes.tableId ?? body.readUInt8(TABLE_BYTE),
    attributes,
  };
}

export function encodeRule(head: RuleHead, attributes: RuleAttributes): Uint8Array[] {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.set([head.family, head.destinationPrefix, head.sourcePrefix]);
  bytes.writeUInt8(head.action, 7);
  return [bytes, ...RuleTable.encode(attributes)];
}

/** Whether a dumped rule sends all from a source to a table, whatever else there is about them. */
export function selectsBySourceOnly(body: Buffer): boolean {
  const { destinationPrefix, action } = decodeRule(body);
  const flags = new DataView(body.buffer, body.byteOffset).getUint32(FLAGS, LITTLE);
  let isOnly =
    destinationPrefix === 0 &&
    action === FR_ACT_TO_TBL &&
    body.readUInt8(TOS_BYTE) === 0 &&
    (flags & FIB_RULE_INVERT) === 0;
  eachAttribute(body.subarray(HEAD_BYTES), (number, value) => {
    const suppressesNothing = number === FRA_SUPPRESS_PREFIXLEN && value.every((byte) => byte === 0xff);
    isOnly &&= ABOUT_SOURCE.includes(number) || suppressesNothing;
  });
  return isOnly;
}

/** A dumped rule as a request: without what the kernel determines itself. */
export function askedRule(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const words = new DataView(copy.buffer, copy.byteOffset);
  words.setUint32(FLAGS, words.getUint32(FLAGS, LITTLE) & (FIB_RULE_PERMANENT | FIB_RULE_INVERT), LITTLE);
  return copy;
}
