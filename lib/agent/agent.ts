import { messageOf } from '../cni/errors.ts';
import type { Server } from '../cni/serve.ts';
import { errnoError } from '../netlink/errno.ts';
import type { Native } from '../netns/native.ts';
import { attend, type Desk, makeDesk } from './attend.ts';
import { AGAIN, Caller, READABLE } from './caller.ts';
import type { Listener } from './listener.ts';

export interface AgentParts {
  readonly native: Native;
  readonly server: Server;
  /** Begins to listen, again when the socket was deleted. */
  readonly listen: () => Listener;
  /** whether a user may call */
  readonly admits: (uid: number) => boolean;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Callers that are attended to at the same time, waiting ones included; more wait in front of the socket. */
const MOST_CALLERS = 256;

/** Before callers are accepted again, when the kernel could not. */
const SHORTAGE_PAUSE_MS = 100;

const LOOK_MS = 2000;

/**
 * Serves calls of launchers until the signal fires or another agent takes the socket over; ends when all that it has begun
 * have ended.
 *
 * @throws Error when it cannot listen
 */
export async function runAgent(parts: AgentParts): Promise<void> {
  const { signal, log } = parts;
  const counter = new Counter(parts);
  log('takes calls');
  const ending = Promise.withResolvers<string>();
  const stop = (): void => ending.resolve((signal.reason as Error).message);
  signal.addEventListener('abort', stop, { once: true });
  const look = setInterval(() => counter.look(ending.resolve), LOOK_MS);
  if (signal.aborted) {
    stop();
  }
  log(`ends: ${await ending.promise}`);
  clearInterval(look);
  await counter.close();
}

/** Accepts callers, so many at a time. */
class Counter {
  private readonly parts: AgentParts;
  private readonly desk: Desk;
  private readonly attended = new Set<Promise<void>>();
  private listener: Listener;
  private isClosing = false;

  constructor(parts: AgentParts) {
    const { server, admits, log } = parts;
    this.parts = parts;
    this.desk = makeDesk({ server, admits, log, isClosing: () => this.isClosing });
    this.listener = parts.listen();
    this.watch();
  }

  /** Looks after the socket: it may have been deleted, or taken over. */
  look(stop: (why: string) => void): void {
    const where = this.listener.whereabouts();
    if (where === 'replaced') {
      stop('another agent listens in its place');
    } else if (where === 'gone') {
      this.relisten();
    }
  }

  /** Begins no more calls, and waits for those that are under way. */
  async close(): Promise<void> {
    this.isClosing = true;
    this.listener.withdraw();
    this.unwatch();
    if (!this.listener.outlivesUs) {
      this.accept(); // who has connected is told that nothing is begun any more
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
    while (this.isClosing || this.attended.size < MOST_CALLERS) {
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
    const one = attend(this.desk, new Caller(this.parts.native, fd)).finally(() => {
      this.attended.delete(one);
      if (this.attended.size === MOST_CALLERS - 1) {
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
