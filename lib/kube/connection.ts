import type { Access } from './access.ts';
import { AnswerReader, formatRequest, type HttpAnswer, type HttpRequest, type Whole } from './http.ts';
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

/** The server has closed the connection too early. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

export interface Limits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Connections to a server, kept alive; requests beyond their number wait for one. */
export interface Connection extends Disposable {
  /** @throws Unanswered; the reason of the signal */
  send(request: HttpRequest, limits: Limits): Promise<HttpAnswer>;
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
  return {
    send: async (request, limits) => {
      limits.signal?.throwIfAborted();
      return exchange(wires, formatRequest(url.host, { ...request, path: prefix + request.path }), limits);
    },
    [Symbol.dispose]: () => wires.close(),
  };
}

function exchange(wires: Wires, bytes: string, { timeoutMs, signal }: Limits): Promise<HttpAnswer> {
  const reader = new AnswerReader();
  const sending = { wasSent: false, wasReused: false };
  let wire: Wire | undefined;
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
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
    const user: WireUser = {
      taken: (taken) => {
        wire = taken;
      },
      ready: () => {
        sending.wasSent = true;
        sending.wasReused = wire?.hasServed ?? false;
        wire?.socket.write(bytes);
      },
      data: (chunk) => settle(() => reader.push(chunk)),
      end: () => settle(() => reader.end(), new ConnectionLost()),
      lost: (cause) => fail(cause ?? new ConnectionLost()),
    };
    const timer = setTimeout(() => fail(new DeadlineExceeded()), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    wires.take(user);
  });
}
