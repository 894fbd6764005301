import { closeSync } from 'node:fs';
import { errnoError } from '../netlink/errno.ts';
import type { Native } from '../netns/native.ts';

/** Events of `Native.watch`. */
export const READABLE = 1;
const WRITABLE = 2;
const GONE = 4;

export const AGAIN = -11;

/** A connection with a launcher. Disposal ends it, with the descriptor that came over it. */
export class Caller implements Disposable {
  /** fires when the launcher has ended before its call */
  readonly gone = new AbortController();
  /** what the launcher has opened; -1 for nothing */
  descriptor = -1;
  private readonly native: Native;
  private readonly fd: number;
  private readonly received = Buffer.alloc(4);
  private waiting: PromiseWithResolvers<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private late: Error | undefined;
  private isOpen = true;

  /** Takes ownership of the descriptor. */
  constructor(native: Native, fd: number) {
    this.native = native;
    this.fd = fd;
  }

  /** The launcher's user, by the kernel's word; negative when the kernel has none. */
  get uid(): number {
    return this.native.peerUid(this.fd);
  }

  /** Limits how long reading and writing may take from now on; undefined: no longer. */
  limit(ms: number | undefined): void {
    clearTimeout(this.timer);
    this.late = undefined;
    this.timer = ms === undefined ? undefined : setTimeout(() => this.expire(ms), ms);
  }

  /**
   * Reads what is there, and waits for it.
   *
   * @param into for all callers together: what is read is copied before anybody else reads
   * @returns nothing at the end
   * @throws ErrnoError; Error when time is up
   */
  async read(into: Buffer): Promise<Buffer> {
    for (;;) {
      const length = this.native.receiveBytes(this.fd, into, this.received);
      this.keepDescriptor();
      if (length >= 0) {
        return Buffer.from(into.subarray(0, length));
      }
      await this.after(length, 'read a request', READABLE);
    }
  }

  /** @throws as `read` */
  async write(bytes: Buffer): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const length = this.native.sendBytes(this.fd, rest);
      if (length >= 0) {
        rest = rest.subarray(length);
      } else {
        await this.after(length, 'write an answer', WRITABLE);
      }
    }
  }

  /** From now on `gone` fires when the launcher ends. */
  watchEnd(): void {
    this.watch(GONE);
  }

  [Symbol.dispose](): void {
    if (this.isOpen) {
      this.isOpen = false;
      this.limit(undefined);
      this.native.watch(this.fd, 0, ignored);
      closeSync(this.fd);
      if (this.descriptor >= 0) {
        closeSync(this.descriptor);
      }
    }
  }

  private expire(ms: number): void {
    this.late = new Error(`it took longer than ${ms / 1000} s`);
    this.wake(this.late);
  }

  private keepDescriptor(): void {
    const received = this.received.readInt32LE();
    if (received >= 0 && this.descriptor >= 0) {
      closeSync(received);
    } else if (received >= 0) {
      this.descriptor = received;
    }
  }

  private async after(failure: number, operation: string, events: number): Promise<void> {
    if (failure !== AGAIN) {
      throw errnoError(operation, -failure);
    }
    if (this.late !== undefined) {
      throw this.late;
    }
    this.waiting = Promise.withResolvers();
    this.watch(events);
    await this.waiting.promise;
  }

  private watch(events: number): void {
    const failure = this.native.watch(this.fd, events, this.happened);
    if (failure < 0) {
      throw errnoError('watch a caller', -failure);
    }
  }

  private readonly happened = (): void => {
    if (this.waiting === undefined) {
      this.native.watch(this.fd, 0, ignored); // it would be told again and again
      this.gone.abort(new Error('the caller has gone'));
    }
    this.wake();
  };

  private wake(failure?: Error): void {
    const { waiting } = this;
    this.waiting = undefined;
    if (failure === undefined) {
      waiting?.resolve();
    } else {
      waiting?.reject(failure);
    }
  }
}

const ignored = (): void => undefined;
