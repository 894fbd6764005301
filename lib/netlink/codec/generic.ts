/** Generic netlink: subsystems by name, each with a number of its own that the kernel gives it. */
import { type AttributesOf, table, text, u16 } from '../attributes.ts';

/** <linux/genetlink.h> */
export const GENL_ID_CTRL = 16;
export const CTRL_CMD_GETFAMILY = 3;

export const FamilyTable = table({ id: [1, u16], name: [2, text] });
export type FamilyAttributes = AttributesOf<typeof FamilyTable>;

/** struct genlmsghdr: command, version, two bytes that are reserved */
const HEADER_BYTES = 4;
const VERSION = 1;

export const genericBody = (command: number, attributes: readonly Uint8Array[]): readonly Uint8Array[] => [
  Uint8Array.of(command, VERSION, 0, 0),
  ...attributes,
];

/** Behind the header. */
export const attributesIn = (body: Buffer): Buffer => body.subarray(HEADER_BYTES);
