import type { Socket } from 'node:net';
import { clockOf } from '../sys/clock.ts';
import { knownAuthorities } from '../sys/known-authorities.ts';
import type { TlsAccess } from './access.ts';

/** What is used of a socket. */
export type WireSocket = Pick<
  Socket,
  'on' | 'once' | 'write' | 'destroy' | 'setNoDelay' | 'setKeepAlive' | 'setTimeout' | 'ref' | 'unref'
>;

/** Starts connecting; the event of `ready` says that it has worked, with TLS that the server is the one it should be. */
export type Connect = () => { readonly socket: WireSocket; readonly ready: 'connect' | 'secureConnect' };

/** How to connect to a server. @throws Error of OpenSSL when it cannot read a certificate or a key */
export type Connector = (server: URL, access: TlsAccess) => Promise<Connect>;

/** Who uses a wire. */
export interface WireUser {
  /** It has this one from now on. */
  taken(wire: Wire): void;
  /** A request can be written now. */
  ready(): void;
  data(bytes: Buffer): void;
  end(): void;
  /** @param cause undefined when it was just closed */
  lost(cause: unknown): void;
}

/** A connection, and who uses it at the moment. */
export interface Wire {
  readonly socket: WireSocket;
  user: WireUser | undefined;
  /** a request before */
  hasServed: boolean;
}

/** Less than the 90 s of an API server, so that none is used that is just being closed. */
const IDLE_MS = 60_000;

/** Connections that are kept, each for one user at a time; who comes when all are in use waits in a queue. */
export class Wires {
  readonly #connect: Connect;
  readonly #most: number;
  readonly #all = new Set<Wire>();
  /** the last one used is the first one to be used again */
  readonly #idle: Wire[] = [];
  readonly #waiting = new Set<WireUser>();
  #lastAnswer = Number.NEGATIVE_INFINITY;

  constructor(connect: Connect, most: number) {
    this.#connect = connect;
    this.#most = most;
  }

  /** when the server last answered anybody, by the clock of `clockOf` */
  get lastAnswer(): number {
    return this.#lastAnswer;
  }

  /** The server has answered, so that a connection comes free. */
  answered(): void {
    this.#lastAnswer = clockOf().now();
  }

  take(user: WireUser): void {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#give(idle, user);
    } else if (this.#all.size < this.#most) {
      this.#open(user);
    } else {
      this.#waiting.add(user);
    }
  }

  /** Nothing is to come on it any more. */
  giveBack(wire: Wire): void {
    wire.user = undefined;
    wire.hasServed = true;
    const next = this.#next();
    if (next !== undefined) {
      this.#give(wire, next);
      return;
    }
    this.#idle.push(wire);
    wire.socket.setTimeout(IDLE_MS);
    wire.socket.unref();
  }

  /** Closes a wire; who waits gets another. */
  drop(wire: Wire): void {
    wire.user = undefined;
    if (!this.#all.delete(wire)) {
      return;
    }
    const place = this.#idle.indexOf(wire);
    if (place >= 0) {
      this.#idle.splice(place, 1);
    }
    wire.socket.destroy();
    const next = this.#next();
    if (next !== undefined) {
      this.#open(next);
    }
  }

  /** A user waits no longer. */
  withdraw(user: WireUser): void {
    this.#waiting.delete(user);
  }

  close(): void {
    const users = [...this.#all].map(({ user }) => user).concat(...this.#waiting);
    this.#waiting.clear();
    for (const wire of this.#all) {
      this.drop(wire);
    }
    for (const user of users) {
      user?.lost(undefined);
    }
  }

  #next(): WireUser | undefined {
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
    }
    return next;
  }

  #give(wire: Wire, user: WireUser): void {
    wire.socket.setTimeout(0);
    wire.socket.ref();
    wire.user = user;
    user.taken(wire);
    user.ready();
  }

  #open(user: WireUser): void {
    const { socket, ready } = this.#connect();
    const wire: Wire = { socket, user, hasServed: false };
    this.#all.add(wire);
    user.taken(wire);
    const lost = (cause?: unknown): void => {
      const { user: loser } = wire;
      this.drop(wire);
      loser?.lost(cause);
    };
    socket.setNoDelay(true);
    socket.once(ready, () => wire.user?.ready());
    socket.on('data', (bytes: Buffer) => (wire.user === undefined ? lost() : wire.user.data(bytes)));
    socket.on('end', () => (wire.user === undefined ? lost() : wire.user.end()));
    socket.on('timeout', () => lost());
    socket.on('error', lost);
    socket.on('close', () => lost());
  }
}

/**
 * Connects through the network. Node's modules are loaded here and not before: no other call needs them, and no snapshot of
 * the heap can hold them.
 */
export const connector: Connector = async (url, access) => {
  const isTls = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, ''); // an IPv6 address without its brackets
  const target = { host, port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port) };
  if (!isTls) {
    const { connect } = await import('node:net');
    return () => ({ socket: connect(target), ready: 'connect' });
  }
  const { connect, createSecureContext } = await import('node:tls');
  const { isIP } = await import('node:net');
  const { ca, certificate, key, isUnverified, serverName = isIP(host) === 0 ? host : undefined } = access;
  if (ca !== undefined) {
    const { X509Certificate } = await import('node:crypto');
    new X509Certificate(ca); // OpenSSL would pass over what it cannot read, and trust nobody
  }
  const trusted = isUnverified ? {} : { ca: ca ?? (await knownAuthorities()) };
  const identity = certificate === undefined || key === undefined ? {} : { cert: certificate, key };
  const options = {
    ...target,
    secureContext: createSecureContext({ ...trusted, ...identity }),
    rejectUnauthorized: !isUnverified,
    ALPNProtocols: ['http/1.1'],
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
  let session: Buffer | undefined; // what the server has proved on one connection need not be proved on the next
  return () => {
    const socket = connect(session === undefined ? options : { ...options, session });
    socket.on('session', (ticket) => {
      session = ticket;
    });
    return { socket, ready: 'secureConnect' };
  };
};
