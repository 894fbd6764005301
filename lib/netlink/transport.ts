import { closeSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import type { Native } from '../netns/native.ts';
import { errnoError, NoAnswer } from './errno.ts';

const BUFFER_BYTES = 64 * 1024;

/** The native functions behind a socket; a fake kernel has its own. */
export type SocketCalls = Pick<Native, 'openNetlink' | 'receive' | 'receiveOnThread' | 'sendInNetns' | 'sendOnThread'>;

/** One netlink socket: the seam for a fake kernel in tests. */
export interface Transport {
  send(bytes: Buffer): void;
  /** The same without blocking the event loop: the kernel may wait for a lock or a grace period. */
  sendInBackground(bytes: Buffer): Promise<void>;
  /**
   * The next datagram from the kernel.
   *
   * @throws NoAnswer on timeout, or when some are lost: the kernel dropped them (ENOBUFS), or this one was longer than
   * what it was read into (EMSGSIZE), which it will not be when it is asked for again
   */
  receive(operation: string, timeoutMs: number): Buffer;
  /** The same without blocking the event loop. */
  receiveInBackground(operation: string, timeoutMs: number): Promise<Buffer>;
  close(): void;
}

/** Namespace and subsystem of a socket. */
export interface Place {
  /** descriptor of the network namespace */
  readonly nsFd: number;
  /** NETLINK_… */
  readonly protocol: number;
  /** The subsystem checks the sender's namespace: enter it to send. */
  readonly sendsInside?: boolean;
}

/** What datagrams are read into. One serves all sockets of a process: what was read is copied before the next is. */
export interface ReadBuffer {
  bytes: Buffer;
}

export const makeReadBuffer = (): ReadBuffer => ({ bytes: Buffer.allocUnsafeSlow(BUFFER_BYTES) });

/** @throws ErrnoError EPROTONOSUPPORT where the kernel lacks the subsystem */
export const openTransport = (calls: SocketCalls, place: Place, buffer = makeReadBuffer()): Transport =>
  new SocketTransport(calls, place, buffer);

class SocketTransport implements Transport {
  private readonly calls: SocketCalls;
  private readonly place: Place;
  private readonly fd: number;
  private readonly buffer: ReadBuffer;

  constructor(calls: SocketCalls, place: Place, buffer: ReadBuffer) {
    this.calls = calls;
    this.place = place;
    this.buffer = buffer;
    this.fd = calls.openNetlink(place.nsFd, place.protocol);
    if (this.fd < 0) {
      throw errnoError('open a netlink socket', -this.fd);
    }
  }

  send(bytes: Buffer): void {
    if (!this.place.sendsInside) {
      writeSync(this.fd, bytes); // a datagram is sent completely or not at all
      return;
    }
    checked(this.calls.sendInNetns(this.place.nsFd, this.fd, bytes));
  }

  async sendInBackground(bytes: Buffer): Promise<void> {
    const nsFd = this.place.sendsInside ? this.place.nsFd : -1;
    checked(await this.calls.sendOnThread(nsFd, this.fd, bytes));
  }

  receive(operation: string, timeoutMs: number): Buffer {
    const { bytes } = this.buffer;
    return this.taken(operation, bytes, this.calls.receive(this.fd, bytes, timeoutMs));
  }

  async receiveInBackground(operation: string, timeoutMs: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(this.buffer.bytes.length); // the thread's own until it comes back
    return this.taken(operation, bytes, await this.calls.receiveOnThread(this.fd, bytes, timeoutMs));
  }

  private taken(operation: string, bytes: Buffer, length: number): Buffer {
    if (length < 0) {
      throw new NoAnswer(operation, -length);
    }
    if (length > bytes.length) {
      this.buffer.bytes = Buffer.allocUnsafeSlow(Math.max(length, this.buffer.bytes.length));
      throw new NoAnswer(operation, constants.errno.EMSGSIZE);
    }
    const taken = Buffer.allocUnsafe(length);
    bytes.copy(taken, 0, 0, length);
    return taken;
  }

  close(): void {
    closeSync(this.fd);
  }
}

function checked(sent: number): void {
  if (sent < 0) {
    throw errnoError('send a netlink request', -sent);
  }
}
