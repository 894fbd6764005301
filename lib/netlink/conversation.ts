import { constants } from 'node:os';
import { Flags, FlagsGet } from 'netlink/dist/constants.js';
import { type Contention, NO_CONTENTION } from './contention.ts';
import { ErrnoError, hasErrno, NoAnswer } from './errno.ts';
import {
  encodeAll,
  isError,
  isInterrupted,
  isLast,
  type Message,
  messagesIn,
  type Request,
  refusalIn,
  throwIfRefused,
} from './message.ts';
import type { Transport } from './transport.ts';

export type { Request } from './message.ts';

/** Moves of many pods wait for one lock of the kernel, and each may take it half a second: this must never end one. */
const DEADLINE_MS = 60_000;
const DUMP_TRIES = 10;
/** The kernel takes a millisecond for them, and a thread costs 50 µs. */
const MANY_REQUESTS = 8;
/** In one datagram: a socket has room for as many refusals. */
const MOST_REQUESTS = 64;
/** Idle sockets kept for reuse; more are closed. */
const IDLE_SOCKETS = 4;

/** A dump that the kernel marked inconsistent at every try. */
export class DumpInterrupted extends Error {
  constructor(operation: string) {
    super(`cannot ${operation}: the kernel's tables kept changing during ${DUMP_TRIES} dumps`);
    this.name = 'DumpInterrupted';
  }
}

/**
 * A conversation with one kernel subsystem in one network namespace.
 *
 * An exchange (a request and its answer) has a socket to itself, so that no exchange can read another's answer. Sockets
 * are reused; a second one is opened only while the first is busy. Messages with another sequence number are left over
 * from an abandoned exchange, and dropped.
 *
 * Each exchange has one deadline, which covers the send too: the kernel does its work there, and waits there for its
 * locks.
 */
export class Conversation {
  private readonly open: () => Transport;
  private readonly contention: Contention;
  private readonly deadlineMs: number;
  private readonly idle: Transport[] = [];
  private sequence = 0;
  private isClosed = false;

  /**
   * @param open opens a socket; called at the first exchange
   * @param contention shared by all conversations of a process that must not block
   */
  constructor(open: () => Transport, contention = NO_CONTENTION, deadlineMs = DEADLINE_MS) {
    this.open = open;
    this.contention = contention;
    this.deadlineMs = deadlineMs;
  }

  /**
   * A question with one answer, which acknowledges itself.
   *
   * @returns the answer's body
   * @throws ErrnoError such as ENODEV when there is no answer
   */
  async ask(request: Request): Promise<Buffer> {
    return this.retryIfLost(() => this.exchange([request], Flags.REQUEST, first));
  }

  /**
   * A change.
   *
   * If the answer is lost (its socket overflowed), the outcome is unknown: the change is repeated once on a new socket,
   * and `whenDone` tells that it had been done.
   *
   * @throws ErrnoError with the kernel's own message; NoAnswer when the kernel may still be working
   */
  async change(request: Request): Promise<void> {
    const attempt = async (): Promise<void> => this.exchange([request], Flags.REQUEST | Flags.ACK, acknowledgement());
    try {
      await attempt();
    } catch (error) {
      if (!isAnswerLost(error)) {
        throw error;
      }
      await attempt().catch((again: unknown) => {
        if (request.whenDone === undefined || !hasErrno(again, request.whenDone)) {
          throw again;
        }
      });
    }
  }

  /**
   * Changes one after another, up to 64 in one datagram: the kernel goes on after one that it refuses.
   *
   * If answers are lost, all of a datagram are repeated, as with `change`.
   *
   * @returns for each why the kernel refuses it; undefined: it is done
   * @throws NoAnswer when the kernel may still be working
   */
  async changeAll(requests: readonly Request[]): Promise<readonly (ErrnoError | undefined)[]> {
    const refusals: (ErrnoError | undefined)[] = [];
    for (let begin = 0; begin < requests.length; begin += MOST_REQUESTS) {
      refusals.push(...(await this.changeTogether(requests.slice(begin, begin + MOST_REQUESTS))));
    }
    return refusals;
  }

  private async changeTogether(requests: readonly Request[]): Promise<readonly (ErrnoError | undefined)[]> {
    const attempt = async () => this.exchange(requests, Flags.REQUEST | Flags.ACK, outcomes(requests));
    try {
      return await attempt();
    } catch (error) {
      if (!isAnswerLost(error)) {
        throw error;
      }
      return (await attempt()).map((refusal, index) => {
        const whenDone = requests[index]?.whenDone;
        return whenDone !== undefined && hasErrno(refusal, whenDone) ? undefined : refusal;
      });
    }
  }

  /**
   * A whole table.
   *
   * @returns the bodies of its messages
   * @throws ErrnoError; DumpInterrupted when no try was consistent
   */
  async dump(request: Request): Promise<readonly Buffer[]> {
    for (let tries = 0; tries < DUMP_TRIES; tries++) {
      const whole = await this.retryIfLost(() =>
        this.exchange([request], Flags.REQUEST | Flags.ACK | FlagsGet.DUMP, table()),
      );
      if (whole !== undefined) {
        return whole;
      }
    }
    throw new DumpInterrupted(request.operation);
  }

  /** Closes idle sockets; a busy one is closed after its exchange. */
  close(): void {
    this.isClosed = true;
    this.closeIdle();
  }

  private closeIdle(): void {
    for (const transport of this.idle.splice(0)) {
      transport.close();
    }
  }

  private async retryIfLost<T>(attempt: () => T | Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      if (!isAnswerLost(error)) {
        throw error;
      }
      return attempt();
    }
  }

  /** In place, an exchange is over before anything else runs: those that follow it find its socket idle. */
  private exchange<T>(requests: readonly Request[], flags: number, read: Reader<T>): T | Promise<T> {
    return this.isLong(requests) || this.contention.isHigh
      ? this.exchangeInBackground(requests, flags, read)
      : this.exchangeInPlace(requests, flags, read);
  }

  private exchangeInPlace<T>(requests: readonly Request[], flags: number, read: Reader<T>): T {
    const exchange = this.begin(requests, flags);
    const { transport, operation } = exchange;
    try {
      transport.send(exchange.bytes);
      for (;;) {
        const answer = read(ownOf(exchange, transport.receive(operation, leftOf(exchange))), operation);
        if (answer !== undefined) {
          this.reuse(transport);
          return answer.value;
        }
      }
    } catch (error) {
      this.abandon(transport, error);
      throw error;
    } finally {
      this.contention.report(exchange.start, { isSlow: false, requests: requests.length });
    }
  }

  private async exchangeInBackground<T>(requests: readonly Request[], flags: number, read: Reader<T>): Promise<T> {
    const exchange = this.begin(requests, flags);
    const { transport, operation } = exchange;
    const isDump = (flags & FlagsGet.DUMP) === FlagsGet.DUMP;
    try {
      await this.sendInBackground(transport, exchange.bytes, operation);
      for (;;) {
        // a table is made while it is read, and waits for locks there; any other answer has arrived by now
        const received = isDump
          ? await transport.receiveInBackground(operation, leftOf(exchange))
          : transport.receive(operation, leftOf(exchange));
        const answer = read(ownOf(exchange, received), operation);
        if (answer !== undefined) {
          this.reuse(transport);
          return answer.value;
        }
      }
    } catch (error) {
      this.abandon(transport, error);
      throw error;
    } finally {
      this.contention.report(exchange.start, { isSlow: isSlow(requests), requests: requests.length });
    }
  }

  private isLong(requests: readonly Request[]): boolean {
    return isSlow(requests) || (this.contention.hasOthers && requests.length >= MANY_REQUESTS);
  }

  private begin(requests: readonly Request[], flags: number): Exchange {
    const start = performance.now();
    const transport = this.idle.pop() ?? this.open();
    const sequence = (this.sequence + 1) >>> 0;
    const count = requests.length;
    this.sequence = (this.sequence + count) >>> 0;
    const bytes = encodeAll(requests, flags, sequence);
    const operation = requests[0]?.operation ?? '';
    return { transport, operation, bytes, sequence, count, start, end: start + this.deadlineMs };
  }

  /** What becomes of the socket of an exchange that failed. */
  private abandon(transport: Transport, error: unknown): void {
    if (error instanceof KernelBusy) {
      return; // the socket stays in use until the kernel returns
    }
    if (error instanceof ErrnoError && !(error instanceof NoAnswer)) {
      this.reuse(transport); // a refusal is an answer
    } else {
      transport.close();
      this.closeIdle(); // if this one was flooded, so were all
    }
  }

  private async sendInBackground(transport: Transport, bytes: Buffer, operation: string): Promise<void> {
    const sent = transport.sendInBackground(bytes);
    const { promise: late, resolve } = Promise.withResolvers<'late'>();
    const timer = setTimeout(resolve, this.deadlineMs, 'late');
    try {
      if ((await Promise.race([sent, late])) === 'late') {
        const close = (): void => transport.close();
        sent.then(close, close);
        throw new KernelBusy(operation);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  private reuse(transport: Transport): void {
    if (this.isClosed || this.idle.length >= IDLE_SOCKETS) {
      transport.close();
    } else {
      this.idle.push(transport);
    }
  }
}

/** The kernel has the request and has not returned: it waits for one of its locks. */
class KernelBusy extends NoAnswer {
  constructor(operation: string) {
    super(operation, constants.errno.ETIMEDOUT);
  }
}

/** The request was done or refused, but the answer is lost. */
const isAnswerLost = (error: unknown): boolean => error instanceof NoAnswer && !(error instanceof KernelBusy);

interface Exchange {
  readonly transport: Transport;
  readonly operation: string;
  readonly bytes: Buffer;
  /** of the first request, those of the others follow it */
  readonly sequence: number;
  readonly count: number;
  readonly start: number;
  /** its deadline */
  readonly end: number;
}

/** Time that is left. Even 0 ms get an answer that is there: after a send that used up the deadline it has arrived. */
const leftOf = ({ end }: Exchange): number => Math.max(0, Math.ceil(end - performance.now()));

/** The messages of a datagram that answer these requests, and which of them. */
const ownOf = ({ sequence, count }: Exchange, datagram: Buffer): readonly Message[] =>
  messagesIn(datagram, sequence).filter(({ at }) => at < count);

const isSlow = (requests: readonly Request[]): boolean => requests.some((request) => request.isSlow === true);

/**
 * Gets the messages of an answer as they arrive, those of one datagram at a time.
 *
 * @returns what they say when the answer is complete, else undefined
 * @throws ErrnoError when the kernel refuses the request
 */
type Reader<T> = (messages: readonly Message[], operation: string) => { readonly value: T } | undefined;

function first([message]: readonly Message[], operation: string): { readonly value: Buffer } | undefined {
  if (message === undefined) {
    return undefined;
  }
  if (isError(message)) {
    throwIfRefused(message, operation);
  }
  return { value: message.data };
}

const acknowledgement = (): Reader<void> => reading(() => undefined);

/** Only the last of several requests is acknowledged, when the others are done or refused. */
function outcomes(requests: readonly Request[]): Reader<readonly (ErrnoError | undefined)[]> {
  const refusals: (ErrnoError | undefined)[] = requests.map(() => undefined);
  return (messages) => {
    for (const message of messages.filter(isError)) {
      const { at } = message;
      refusals[at] = refusalIn(message, requests[at]?.operation ?? '');
      if (at === requests.length - 1) {
        return { value: refusals };
      }
    }
    return undefined;
  };
}

/** Whose value is undefined when the table changed meanwhile. */
function table(): Reader<readonly Buffer[] | undefined> {
  const bodies: Buffer[] = [];
  let isWhole = true;
  return reading(
    () => (isWhole ? bodies : undefined),
    (message) => {
      isWhole &&= !isInterrupted(message);
      if (!isLast(message)) {
        bodies.push(message.data);
      }
    },
  );
}

/** Reads until the closing message. */
function reading<T>(value: () => T, visit?: (message: Message) => void): Reader<T> {
  return (messages, operation) => {
    for (const message of messages) {
      visit?.(message);
      if (isLast(message)) {
        throwIfRefused(message, operation);
        return { value: value() };
      }
    }
    return undefined;
  };
}
