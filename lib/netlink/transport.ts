import { closeSync, writeSync } from 'node:fs';
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
   * @param inBackground without blocking the event loop
   * @throws NoAnswer on timeout, or when the kernel dropped some (ENOBUFS)
   */
  receive(operation: string, timeoutMs: number, inBackground?: boolean): Buffer | Promise<Buffer>;
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

/** @throws ErrnoError EPROTONOSUPPORT where the kernel lacks the subsystem */
export const openTransport = (calls: SocketCalls, place: Place): Transport => new SocketTransport(calls, place);

class SocketTransport implements Transport {
  private readonly calls: SocketCalls;
  private readonly place: Place;
  private readonly fd: number;
  private buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

  constructor(calls: SocketCalls, place: Place) {
    this.calls = calls;
    this.place = place;
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

  receive(operation: string, timeoutMs: number, inBackground = false): Buffer | Promise<Buffer> {
    if (inBackground) {
      return this.receiveInBackground(operation, timeoutMs);
    }
    const length = this.calls.receive(this.fd, this.buffer, timeoutMs);
    return this.taken(operation, length) ?? this.receive(operation, timeoutMs);
  }

  private async receiveInBackground(operation: string, timeoutMs: number): Promise<Buffer> {
    const length = await this.calls.receiveOnThread(this.fd, this.buffer, timeoutMs);
    return this.taken(operation, length) ?? this.receiveInBackground(operation, timeoutMs);
  }

  /** What was received; undefined when the datagram exceeds the buffer, which is then enlarged. */
  private taken(operation: string, length: number): Buffer | undefined {
    if (length < 0) {
      throw new NoAnswer(operation, -length);
    }
    if (length > this.buffer.length) {
      this.buffer = Buffer.allocUnsafeSlow(length);
      return undefined;
    }
    return Buffer.from(this.buffer.subarray(0, length));
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
