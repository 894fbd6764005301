import { type AttributesOf, HOST_IS_LITTLE as LITTLE, raw, table, u32 } from '../attributes.ts';

/** <linux/rtnetlink.h>, <linux/fib_rules.h> */
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;
const FIB_RULE_PERMANENT = 1;
const FIB_RULE_INVERT = 2;

export const RuleTable = table({
  destination: [1, raw],
  source: [2, raw],
  priority: [6, u32],
  tableId: [15, u32],
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

const HEAD_BYTES = 12;
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

/** A dumped rule as a request: without what the kernel determines itself. */
export function askedRule(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const words = new DataView(copy.buffer, copy.byteOffset);
  words.setUint32(FLAGS, words.getUint32(FLAGS, LITTLE) & (FIB_RULE_PERMANENT | FIB_RULE_INVERT), LITTLE);
  return copy;
}
