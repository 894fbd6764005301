import { clockOf } from '../sys/clock.ts';
import type { Access } from './access.ts';
import { AnswerReader, type BodySink, formatRequest, type HttpAnswer, type HttpRequest, type Whole } from './http.ts';
import { type Connector, type Wire, Wires, type WireUser } from './wires.ts';

/** No answer, or half of one. The cause says why. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered';
  /** the server may have got the request */
  readonly wasSent: boolean;
  /** the connection had served before: the server may have closed it at the same moment */
  readonly wasReused: boolean;

  constructor(cause: unknown, { wasSent, wasReused }: { readonly wasSent: boolean; readonly wasReused: boolean }) {
    super('no answer', { cause });
    this.wasSent = wasSent;
    this.wasReused = wasReused;
  }
}

/** The time for a request is over. */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded';
}

/** All connections were in use for too long, though the server answered on them. */
export class NoneFree extends Error {
  override readonly name = 'NoneFree';
}

/** The server has closed the connection too early. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

export interface Limits {
  /** Does not run while the request waits for a connection and the server answers others. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** hears how long the request has waited so, when it has a connection */
  readonly waited?: (ms: number) => void;
}

/** Connections to a server, kept alive; requests beyond their number wait for one. */
export interface Connection extends Disposable {
  /** @throws Unanswered; the reason of the signal */
  send(request: HttpRequest, limits: Limits): Promise<HttpAnswer>;
  /**
   * Sends a request whose answer has no end of its own, and gives its body to the sink as it comes. The connection serves
   * nothing else meanwhile.
   *
   * @returns at its end; the body of an answer that is no success is in the answer
   * @throws Unanswered, with what the sink throws as its cause; the reason of the signal
   */
  stream(request: HttpRequest, limits: Limits, streamed: Streamed): Promise<HttpAnswer>;
}

export interface Streamed {
  /** how long the answer may go on after its beginning, for which `Limits` has the time */
  readonly lastsMs: number;
  readonly sink: BodySink;
}

/**
 * Connects when the first request comes.
 *
 * @param most connections at once
 * @throws Error of OpenSSL when it cannot read a certificate or a key
 */
export async function openConnection(access: Access, connector: Connector, most: number): Promise<Connection> {
  const url = new URL(access.server);
  const wires = new Wires(await connector(url, access.tls), most);
  const prefix = url.pathname.replace(/\/$/, '');
  const bytesOf = (request: HttpRequest) => formatRequest(url.host, { ...request, path: prefix + request.path });
  return {
    send: async (request, limits) => {
      limits.signal?.throwIfAborted();
      return exchange(wires, bytesOf(request), limits);
    },
    stream: async (request, limits, streamed) => {
      limits.signal?.throwIfAborted();
      return exchange(wires, bytesOf(request), limits, streamed);
    },
    [Symbol.dispose]: () => wires.close(),
  };
}

/** A runtime gives up after two minutes, and wants to hear why. */
export const LONGEST_WAIT_MS = 60_000;

/** Silence on a stream after which the kernel asks the other side whether it is there. */
const PROBE_AFTER_MS = 30_000;

function exchange(
  wires: Wires,
  bytes: string,
  { timeoutMs, signal, waited }: Limits,
  streamed?: Streamed,
): Promise<HttpAnswer> {
  const { now } = clockOf(signal);
  const came = now();
  /** since when its own time runs */
  const start = (): number => Math.max(came, wires.lastAnswer);
  const reader = new AnswerReader(streamed?.sink);
  const sending = { wasSent: false, wasReused: false };
  let wire: Wire | undefined;
  let isOver = false;
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      isOver = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const leave = (): void => (wire === undefined ? wires.withdraw(user) : wires.drop(wire));
    const fail = (cause: unknown): void =>
      finish(() => {
        leave();
        reject(new Unanswered(cause, sending));
      });
    const abort = (): void =>
      finish(() => {
        leave();
        reject(signal?.reason);
      });
    const settle = (read: () => Whole | undefined, otherwise?: Error): void => {
      try {
        const whole = read();
        if (whole !== undefined) {
          finish(() => {
            if (wire !== undefined) {
              wires.answered();
              wires[whole.isReusable ? 'giveBack' : 'drop'](wire);
            }
            resolve(whole.answer);
          });
        } else if (otherwise !== undefined) {
          fail(otherwise);
        }
      } catch (error) {
        fail(error);
      }
    };
    const expire = (): void => {
      const left = start() + timeoutMs - now();
      if (wire !== undefined || left <= 0) {
        fail(new DeadlineExceeded());
      } else if (now() - came > LONGEST_WAIT_MS) {
        fail(new NoneFree());
      } else {
        timer = setTimeout(expire, left);
      }
    };
    const user: WireUser = {
      taken: (taken) => {
        const since = start();
        waited?.(since - came);
        clearTimeout(timer);
        timer = setTimeout(expire, since + timeoutMs - now());
        wire = taken;
      },
      ready: () => {
        sending.wasSent = true;
        sending.wasReused = wire?.hasServed ?? false;
        if (streamed !== undefined) {
          wire?.socket.setKeepAlive(true, PROBE_AFTER_MS); // who is gone without a word is found out within a minute
        }
        wire?.socket.write(bytes);
      },
      data: (chunk) => {
        const had = reader.hasBegun;
        settle(() => reader.push(chunk));
        if (streamed !== undefined && !had && reader.hasBegun && !isOver) {
          clearTimeout(timer);
          timer = setTimeout(() => fail(new DeadlineExceeded()), streamed.lastsMs);
        }
      },
      end: () => settle(() => reader.end(), new ConnectionLost()),
      lost: (cause) => fail(cause ?? new ConnectionLost()),
    };
    let timer = setTimeout(expire, timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    wires.take(user);
  });
}
