import { Flags, FlagsAck, MessageType } from 'netlink/dist/constants.js';
import { HEADER_LENGTH } from 'netlink/dist/structs.js';
import { eachAttribute, HOST_IS_LITTLE } from './attributes.ts';
import { errnoError } from './errno.ts';

const EXTACK_MESSAGE = 1;

/** One request: a type, a body and its name in errors. */
export interface Request {
  readonly type: number;
  /** in addition to REQUEST and ACK */
  readonly flags?: number;
  readonly body: readonly Uint8Array[];
  /** completes "cannot …" */
  readonly operation: string;
  /** The kernel blocks the sender for a grace period (deleting or moving a link): sent off the event loop. */
  readonly isSlow?: boolean;
  /** The error of a repeated change if the first one was done: `EEXIST`, `ENODEV`. */
  readonly whenDone?: string;
}

/** One message of an answer. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** after the header */
  readonly data: Buffer;
}

/** struct nlmsghdr: length, type, flags, sequence, port; then the body */
export function encode({ type, flags = 0, body }: Request, base: number, sequence: number): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, HEADER_LENGTH);
  const bytes = Buffer.alloc(length);
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  words.setUint32(0, length, HOST_IS_LITTLE);
  words.setUint16(4, type, HOST_IS_LITTLE);
  words.setUint16(6, base | flags, HOST_IS_LITTLE);
  words.setUint32(8, sequence, HOST_IS_LITTLE);
  let offset = HEADER_LENGTH;
  for (const part of body) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/**
 * The messages of one datagram.
 *
 * @throws RangeError when one is truncated
 */
export function messagesIn(bytes: Buffer): readonly Message[] {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const messages: Message[] = [];
  for (let offset = 0; offset + HEADER_LENGTH <= bytes.length; ) {
    const length = words.getUint32(offset, HOST_IS_LITTLE);
    if (length < HEADER_LENGTH || offset + length > bytes.length) {
      throw new RangeError(`a message of ${length} bytes does not fit into ${bytes.length - offset}`);
    }
    messages.push({
      type: words.getUint16(offset + 4, HOST_IS_LITTLE),
      flags: words.getUint16(offset + 6, HOST_IS_LITTLE),
      sequence: words.getUint32(offset + 8, HOST_IS_LITTLE),
      data: bytes.subarray(offset + HEADER_LENGTH, offset + length),
    });
    offset += (length + 3) & ~3;
  }
  return messages;
}

export const isError = ({ type }: Message): boolean => type === MessageType.ERROR;

/** An acknowledgement, an error, or the end of a dump. */
export const isLast = ({ type }: Message): boolean => type === MessageType.ERROR || type === MessageType.DONE;

/** The kernel's tables changed while it dumped them. */
export const isInterrupted = ({ flags }: Message): boolean => (flags & Flags.DUMP_INTR) !== 0;

/**
 * An error message and the end of a dump both begin with an errno; attributes explain it.
 *
 * @throws ErrnoError with the kernel's own message
 */
export function throwIfRefused(message: Message, operation: string): void {
  const { data } = message;
  const errno = data.length < 4 ? 0 : -numberAt(data, 0);
  if (errno !== 0) {
    throw errnoError(operation, errno, explanationIn(message));
  }
}

function explanationIn({ type, flags, data }: Message): string | undefined {
  if ((flags & FlagsAck.ACK_TLVS) === 0) {
    return undefined;
  }
  const capped = (flags & FlagsAck.CAPPED) !== 0;
  const echoed = type === MessageType.DONE ? 0 : capped ? HEADER_LENGTH : numberAt(data, 4);
  let found: string | undefined;
  eachAttribute(data.subarray(4 + echoed), (number, value) => {
    if (number === EXTACK_MESSAGE) {
      found = value.toString('utf8').replace(/\0+$/, '');
    }
  });
  return found;
}

const numberAt = (bytes: Buffer, offset: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getInt32(offset, HOST_IS_LITTLE);
