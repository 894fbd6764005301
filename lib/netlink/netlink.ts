import { closeSync, write, writeSync } from 'node:fs';
import { Flags, FlagsAck, FlagsGet, MessageType } from 'netlink/dist/constants.js';
import {
  formatMessage,
  HEADER_LENGTH,
  type NetlinkMessage,
  parseAttributes,
  parseMessages,
} from 'netlink/dist/structs.js';
import type { Native } from '../netns/native.ts';
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
      for (const message of parseMessages(this.transport.receive(request.operation))) {
        if (message.seq !== sequence) {
          continue;
        }
        if (message.type === MessageType.ERROR) {
          throwIfRefused(message, request.operation);
        }
        return message.data as Buffer;
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
      for (const message of parseMessages(this.transport.receive(request.operation))) {
        if (message.seq !== sequence) {
          continue;
        }
        interrupted ||= (message.flags & Flags.DUMP_INTR) !== 0;
        if (message.type === MessageType.ERROR || message.type === MessageType.DONE) {
          throwIfRefused(message, request.operation);
          return { messages, interrupted };
        }
        messages.push(message.data as Buffer);
      }
    }
  }
}

function encode({ type, flags = 0, body }: Request, base: number, seq: number): Buffer {
  return Buffer.concat(formatMessage({ type, flags: base | flags, seq, port: 0, data: [...body] } as never));
}

/** An error message and the end of a dump both begin with an errno; attributes explain it. */
function throwIfRefused(message: NetlinkMessage, operation: string): void {
  const data = message.data as Buffer;
  const errno = data.length < 4 ? 0 : -(new Int32Array(Uint8Array.from(data.subarray(0, 4)).buffer)[0] ?? 0);
  if (errno !== 0) {
    throw errnoError(operation, errno, explanationIn(message, data));
  }
}

function explanationIn(message: NetlinkMessage, data: Buffer): string | undefined {
  if ((message.flags & FlagsAck.ACK_TLVS) === 0) {
    return undefined;
  }
  const capped = (message.flags & FlagsAck.CAPPED) !== 0;
  const echoed = message.type === MessageType.DONE ? 0 : capped ? HEADER_LENGTH : lengthOfEcho(data);
  let found: string | undefined;
  parseAttributes(data.subarray(4 + echoed), ({ type, data: bytes }) => {
    if (type === EXTACK_MESSAGE) {
      found = Buffer.from(bytes).toString('utf8').replace(/\0+$/, '');
    }
  });
  return found;
}

const lengthOfEcho = (data: Buffer): number => new Uint32Array(Uint8Array.from(data.subarray(4, 8)).buffer)[0] ?? 0;

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
