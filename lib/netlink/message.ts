import { Flags, FlagsAck, MessageType } from 'netlink/dist/constants.js';
import { HEADER_LENGTH } from 'netlink/dist/structs.js';
import { eachAttribute, HOST_IS_LITTLE } from './attributes.ts';
import { type ErrnoError, errnoError } from './errno.ts';

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
  /** its sequence number, as a distance from the first request's */
  readonly at: number;
  /** after the header */
  readonly data: Buffer;
}

/**
 * One datagram with several requests, of which the kernel acknowledges the last.
 *
 * @param base flags of all, but that only the last has ACK
 * @param sequence of the first; those of the others follow it
 */
export function encodeAll(requests: readonly Request[], base: number, sequence: number): Buffer {
  const lengths = requests.map(({ body }) => body.reduce((sum, part) => sum + part.length, HEADER_LENGTH));
  const last = requests.length - 1;
  const size = lengths.reduce((sum, length, index) => sum + (index === last ? length : aligned(length)), 0);
  const bytes = last === 0 ? Buffer.allocUnsafe(size) : Buffer.alloc(size); // of one all is written
  const words = new DataView(bytes.buffer, bytes.byteOffset);
  let start = 0;
  for (const [index, { type, flags = 0, body }] of requests.entries()) {
    const length = lengths[index] ?? 0;
    // struct nlmsghdr: length, type, flags, sequence, port; then the body
    words.setUint32(start, length, HOST_IS_LITTLE);
    words.setUint16(start + 4, type, HOST_IS_LITTLE);
    words.setUint16(start + 6, (index === last ? base : base & ~Flags.ACK) | flags, HOST_IS_LITTLE);
    words.setUint32(start + 8, (sequence + index) >>> 0, HOST_IS_LITTLE);
    words.setUint32(start + 12, 0);
    let offset = start + HEADER_LENGTH;
    for (const part of body) {
      bytes.set(part, offset);
      offset += part.length;
    }
    start += aligned(length);
  }
  return bytes;
}

const aligned = (length: number): number => (length + 3) & ~3;

/**
 * The messages of one datagram.
 *
 * @param first sequence number that `at` counts from
 * @throws RangeError when one is truncated
 */
export function messagesIn(bytes: Buffer, first = 0): readonly Message[] {
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
      at: (words.getUint32(offset + 8, HOST_IS_LITTLE) - first) >>> 0,
      data: bytes.subarray(offset + HEADER_LENGTH, offset + length),
    });
    offset += aligned(length);
  }
  return messages;
}

export const isError = ({ type }: Message): boolean => type === MessageType.ERROR;

/** An acknowledgement, an error, or the end of a dump. */
export const isLast = ({ type }: Message): boolean => type === MessageType.ERROR || type === MessageType.DONE;

/** The kernel's tables changed while it dumped them. */
export const isInterrupted = ({ flags }: Message): boolean => (flags & Flags.DUMP_INTR) !== 0;

/** An error message and the end of a dump both begin with an errno, with the kernel's own message behind it. */
export function refusalIn(message: Message, operation: string): ErrnoError | undefined {
  const { data } = message;
  const errno = data.length < 4 ? 0 : -numberAt(data, 0);
  return errno === 0 ? undefined : errnoError(operation, errno, explanationIn(message));
}

/** @throws ErrnoError */
export function throwIfRefused(message: Message, operation: string): void {
  const refusal = refusalIn(message, operation);
  if (refusal !== undefined) {
    throw refusal;
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
