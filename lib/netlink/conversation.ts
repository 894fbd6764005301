import { constants } from 'node:os';
import { Flags, FlagsGet } from 'netlink/dist/constants.js';
import { type Contention, NO_CONTENTION } from './contention.ts';
import { ErrnoError, hasErrno, NoAnswer } from './errno.ts';
import {
  encode,
  isError,
  isInterrupted,
  isLast,
  type Message,
  messagesIn,
  type Request,
  throwIfRefused,
} from './message.ts';
import type { Transport } from './transport.ts';

export type { Request } from './message.ts';

const DEADLINE_MS = 5_000;
const DUMP_TRIES = 10;
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
    return this.retryIfLost(() => this.exchange(request, Flags.REQUEST, firstOf));
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
    const attempt = (): Promise<void> => this.exchange(request, Flags.REQUEST | Flags.ACK, acknowledged);
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
   * A whole table.
   *
   * @returns the bodies of its messages
   * @throws ErrnoError; DumpInterrupted when no try was consistent
   */
  async dump(request: Request): Promise<readonly Buffer[]> {
    for (let tries = 0; tries < DUMP_TRIES; tries++) {
      const whole = await this.retryIfLost(() =>
        this.exchange(request, Flags.REQUEST | Flags.ACK | FlagsGet.DUMP, tableOf),
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

  private async retryIfLost<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      if (!isAnswerLost(error)) {
        throw error;
      }
      return attempt();
    }
  }

  private async exchange<T>(request: Request, flags: number, read: (answer: Answer) => T | Promise<T>): Promise<T> {
    const start = performance.now();
    const inBackground = request.isSlow === true || this.contention.isHigh;
    const transport = this.idle.pop() ?? this.open();
    const sequence = (this.sequence + 1) >>> 0;
    this.sequence = sequence;
    const bytes = encode(request, flags, sequence);
    try {
      if (inBackground) {
        await this.sendInBackground(transport, bytes, request.operation);
      } else {
        transport.send(bytes);
      }
      const end = start + this.deadlineMs;
      const answer = await read(new Answer({ transport, operation: request.operation, sequence, end, inBackground }));
      this.reuse(transport);
      return answer;
    } catch (error) {
      if (error instanceof KernelBusy) {
        throw error; // the socket stays in use until the kernel returns
      }
      if (error instanceof ErrnoError && !(error instanceof NoAnswer)) {
        this.reuse(transport); // a refusal is an answer
      } else {
        transport.close();
        this.closeIdle(); // if this one was flooded, so were all
      }
      throw error;
    } finally {
      if (!request.isSlow) {
        this.contention.report(start);
      }
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
  readonly sequence: number;
  /** deadline of the exchange */
  readonly end: number;
  readonly inBackground: boolean;
}

/** The messages that answer one request, as they arrive. */
class Answer {
  private readonly exchange: Exchange;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }

  get operation(): string {
    return this.exchange.operation;
  }

  /** Our messages in the next datagram that has any. Waits even for 0 ms: after a send that used up the deadline they have arrived. */
  async next(): Promise<readonly Message[]> {
    const { transport, operation, sequence, end, inBackground } = this.exchange;
    for (;;) {
      const left = Math.max(0, Math.ceil(end - performance.now()));
      const received = transport.receive(operation, left, inBackground);
      const messages = messagesIn(received instanceof Promise ? await received : received);
      const own = messages.filter((message) => message.sequence === sequence);
      if (own.length > 0) {
        return own;
      }
    }
  }
}

async function firstOf(answer: Answer): Promise<Buffer> {
  const [message] = await answer.next();
  if (message === undefined) {
    throw new RangeError('empty answer'); // next() returns at least one
  }
  if (isError(message)) {
    throwIfRefused(message, answer.operation);
  }
  return message.data;
}

async function acknowledged(answer: Answer): Promise<void> {
  await collect(answer, []);
}

/** @returns undefined when the table changed meanwhile */
async function tableOf(answer: Answer): Promise<readonly Buffer[] | undefined> {
  const bodies: Buffer[] = [];
  return (await collect(answer, bodies)) ? bodies : undefined;
}

/** @returns false when the kernel was interrupted */
async function collect(answer: Answer, bodies: Buffer[]): Promise<boolean> {
  for (let isWhole = true; ; ) {
    for (const message of await answer.next()) {
      isWhole &&= !isInterrupted(message);
      if (isLast(message)) {
        throwIfRefused(message, answer.operation);
        return isWhole;
      }
      bodies.push(message.data);
    }
  }
}
