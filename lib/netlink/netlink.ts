import { closeSync, write, writeSync } from 'node:fs';
import { Flags, FlagsAck, FlagsGet, MessageType } from 'netlink/dist/constants.js';
import { HEADER_LENGTH } from 'netlink/dist/structs.js';
import type { Native } from '../netns/native.ts';
import { eachAttribute, HOST_IS_LITTLE } from './attributes.ts';
import { errnoError, NoAnswer } from './errno.ts';

const DEADLINE_MS = 5_000;
const DUMP_TRIES = 10;
const BUFFER_BYTES = 64 * 1024;
const EXTACK_MESSAGE = 1;

/** What one request is: a type, a body and what to call it in errors. */
export interface Request {
  readonly type: number;
  /** besides REQUEST and ACK */
  readonly flags?: number;
  readonly body: readonly Uint8Array[];
  /** completes "cannot …" */
  readonly operation: string;
}

/** The part of the native code that answers are read with; a fake kernel has one of its own. */
export type Receiver = Pick<Native, 'openNetlink' | 'receive' | 'sendInNetns'>;

/** A dump that the kernel marked as inconsistent every time it was tried. */
export class DumpInterrupted extends Error {
  constructor(operation: string) {
    super(`cannot ${operation}: the kernel's tables kept changing during ${DUMP_TRIES} dumps`);
    this.name = 'DumpInterrupted';
  }
}

/** Sends requests and returns what the kernel answers; the seam at which tests put a fake kernel. */
export interface Transport {
  send(bytes: Buffer): void;
  /** the same through the thread pool, for requests that wait for a grace period */
  sendInBackground(bytes: Buffer): Promise<void>;
  /** one datagram */
  receive(operation: string): Buffer;
  close(): void;
}

/**
 * A netlink socket: synchronous, one request in flight, a deadline on each answer.
 */
export class Netlink {
  private readonly transport: Transport;
  private sequence = 0;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /**
   * @param nsFd the namespace in which the socket is born; -1 for the caller's
   * @throws ErrnoError
   */
  static open(native: Receiver, nsFd: number, protocol: number): Netlink {
    return new Netlink(openTransport(native, nsFd, protocol));
  }

  /**
   * The same for a subsystem that asks where the sender is: whoever sends is inside for that long. Slow requests are
   * not for it: threads of the pool are outside.
   *
   * @throws ErrnoError EPROTONOSUPPORT where the kernel lacks the subsystem
   */
  static openInside(native: Receiver, nsFd: number, protocol: number): Netlink {
    const send = (fd: number, bytes: Buffer): void => {
      const outcome = native.sendInNetns(nsFd, fd, bytes);
      if (outcome < 0) {
        throw errnoError('send a netlink request', -outcome);
      }
    };
    return new Netlink(new SocketTransport(native, nsFd, protocol, send));
  }

  /**
   * A change.
   *
   * @throws ErrnoError with the kernel's own sentence
   */
  request(request: Request): void {
    const sequence = this.nextSequence();
    this.transport.send(encode(request, Flags.REQUEST | Flags.ACK, sequence));
    this.collect(request, sequence);
  }

  /**
   * A question with one answer. The answer acknowledges itself.
   *
   * @throws ErrnoError ENODEV and the like when there is nothing to be told
   */
  get(request: Request): Buffer {
    const sequence = this.nextSequence();
    this.transport.send(encode(request, Flags.REQUEST, sequence));
    for (;;) {
      for (const message of messagesIn(this.transport.receive(request.operation))) {
        if (message.sequence !== sequence) {
          continue;
        }
        if (message.type === MessageType.ERROR) {
          throwIfRefused(message, request.operation);
        }
        return message.data;
      }
    }
  }

  /**
   * A change that waits for a grace period (deleting a link, moving it to another namespace): sent from the thread
   * pool, so that such waits overlap with those on other sockets.
   *
   * @throws ErrnoError
   */
  slowRequest(request: Request): Promise<void> {
    const turn = this.queue.then(async () => {
      const sequence = this.nextSequence();
      await this.transport.sendInBackground(encode(request, Flags.REQUEST | Flags.ACK, sequence));
      this.collect(request, sequence);
    });
    this.queue = turn.catch(() => undefined);
    return turn;
  }

  /**
   * A whole table.
   *
   * @throws ErrnoError; DumpInterrupted when no try was consistent
   */
  dump(request: Request): readonly Buffer[] {
    for (let tries = 0; tries < DUMP_TRIES; tries++) {
      const sequence = this.nextSequence();
      this.transport.send(encode(request, Flags.REQUEST | Flags.ACK | FlagsGet.DUMP, sequence));
      const { messages, interrupted } = this.collect(request, sequence);
      if (!interrupted) {
        return messages;
      }
    }
    throw new DumpInterrupted(request.operation);
  }

  close(): void {
    this.transport.close();
  }

  private nextSequence(): number {
    this.sequence = (this.sequence + 1) >>> 0;
    return this.sequence;
  }

  private collect(request: Request, sequence: number): { messages: Buffer[]; interrupted: boolean } {
    const messages: Buffer[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of messagesIn(this.transport.receive(request.operation))) {
        if (message.sequence !== sequence) {
          continue;
        }
        interrupted ||= (message.flags & Flags.DUMP_INTR) !== 0;
        if (message.type === MessageType.ERROR || message.type === MessageType.DONE) {
          throwIfRefused(message, request.operation);
          return { messages, interrupted };
        }
        messages.push(message.data);
      }
    }
  }
}

/** struct nlmsghdr: length, type, flags, sequence, port; then the body */
function encode({ type, flags = 0, body }: Request, base: number, sequence: number): Buffer {
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

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly data: Buffer;
}

/** The messages of one datagram. */
function messagesIn(bytes: Buffer): readonly Message[] {
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

/** An error message and the end of a dump both begin with an errno; attributes explain it. */
function throwIfRefused(message: Message, operation: string): void {
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

/** @throws ErrnoError */
export const openTransport = (native: Receiver, nsFd: number, protocol: number): Transport =>
  new SocketTransport(native, nsFd, protocol);

class SocketTransport implements Transport {
  private readonly native: Receiver;
  private readonly fd: number;
  private readonly write: (fd: number, bytes: Buffer) => void;
  private buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

  constructor(
    native: Receiver,
    nsFd: number,
    protocol: number,
    write: (fd: number, bytes: Buffer) => void = writeSync,
  ) {
    this.native = native;
    this.write = write;
    this.fd = native.openNetlink(nsFd, protocol);
    if (this.fd < 0) {
      throw errnoError('open a netlink socket', -this.fd);
    }
  }

  send(bytes: Buffer): void {
    this.write(this.fd, bytes);
  }

  sendInBackground(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      write(this.fd, bytes, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  receive(operation: string): Buffer {
    const length = this.native.receive(this.fd, this.buffer, DEADLINE_MS);
    if (length < 0) {
      throw new NoAnswer(operation, -length);
    }
    if (length > this.buffer.length) {
      this.buffer = Buffer.allocUnsafeSlow(length);
      return this.receive(operation);
    }
    return Buffer.from(this.buffer.subarray(0, length));
  }

  close(): void {
    closeSync(this.fd);
  }
}
