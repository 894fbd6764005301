import { messageOf } from '../cni/errors.ts';
import { errnoError } from '../netlink/errno.ts';
import type { Native } from '../netns/native.ts';
import { AGAIN, READABLE } from './caller.ts';
import type { Listener } from './listener.ts';

export interface DoorParts {
  readonly native: Native;
  /** Begins to listen, again when the socket was deleted. */
  readonly listen: () => Listener;
  /** Attends to a caller, whose descriptor it owns. Never rejects. */
  readonly attend: (fd: number) => Promise<void>;
  /** Callers that are attended to at the same time, waiting ones included; more wait in front of the socket. */
  readonly mostCallers: number;
  readonly log: (line: string) => void;
}

/** Before callers are accepted again, when the kernel could not. */
const SHORTAGE_PAUSE_MS = 100;

/** Accepts callers, so many at a time. */
export class Door {
  private readonly parts: DoorParts;
  private readonly attended = new Set<Promise<void>>();
  private listener: Listener;
  private isClosing = false;
  /** when the last caller has gone */
  private lastMs = performance.now();

  /** @throws Error when it cannot listen */
  constructor(parts: DoorParts) {
    this.parts = parts;
    this.listener = parts.listen();
    this.watch();
  }

  /**
   * Looks after the socket: it may have been deleted, or taken over.
   *
   * @returns whether callers still come here
   */
  look(): boolean {
    const where = this.listener.whereabouts();
    if (where === 'gone') {
      this.relisten();
    }
    return where !== 'replaced';
  }

  /** For how long nobody has been here. */
  quietMs(): number {
    return this.attended.size > 0 ? 0 : performance.now() - this.lastMs;
  }

  /** Accepts no more callers than have connected, and waits until all have been attended to. */
  async close(): Promise<void> {
    this.isClosing = true;
    this.listener.withdraw();
    this.unwatch();
    if (!this.listener.outlivesUs) {
      this.accept(); // nobody else can
    }
    this.listener[Symbol.dispose]();
    await Promise.all(this.attended);
  }

  private relisten(): void {
    const { listen, log } = this.parts;
    try {
      const next = listen();
      this.unwatch();
      this.listener[Symbol.dispose]();
      this.listener = next;
      this.watch();
      log('listens again: the socket was deleted');
    } catch (error) {
      log(`cannot listen again: ${messageOf(error)}`);
    }
  }

  private readonly accept = (): void => {
    while (this.isClosing || this.attended.size < this.parts.mostCallers) {
      const fd = this.parts.native.acceptCaller(this.listener.fd);
      if (fd === AGAIN) {
        return;
      }
      if (fd < 0) {
        this.pause(fd);
        return;
      }
      this.attend(fd);
    }
    this.unwatch();
  };

  private attend(fd: number): void {
    const one = this.parts.attend(fd).finally(() => {
      this.attended.delete(one);
      this.lastMs = performance.now();
      if (this.attended.size === this.parts.mostCallers - 1) {
        this.resume();
      }
    });
    this.attended.add(one);
  }

  /** For lack of descriptors or memory: the kernel would tell of the same caller at once again. */
  private pause(failure: number): void {
    this.parts.log(errnoError('accept a caller', -failure).message);
    this.unwatch();
    setTimeout(() => this.resume(), SHORTAGE_PAUSE_MS);
  }

  private resume(): void {
    if (!this.isClosing) {
      this.watch();
    }
  }

  private watch(): void {
    const failure = this.parts.native.watch(this.listener.fd, READABLE, this.accept);
    if (failure < 0) {
      throw errnoError('watch the socket', -failure);
    }
  }

  private unwatch(): void {
    this.parts.native.watch(this.listener.fd, 0, this.accept);
  }
}
