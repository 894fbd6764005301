import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { AgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TlsAccess } from './access.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** with its query, below the path of the server's URL */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

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

/** Less than the 90 s of an API server, so that none is used that is just being closed. */
const IDLE_MS = 60_000;

/** More than a page of lists of the largest objects. */
const LONGEST_ANSWER = 1 << 28;

export class AnswerTooLong extends Error {
  override readonly name = 'AnswerTooLong';
  constructor() {
    super(`it answers with more than ${LONGEST_ANSWER >> 20} MiB`);
  }
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
 * Connects when the first request comes. Node's modules are loaded here and not before: no other call needs them.
 *
 * @throws Error of OpenSSL when it cannot read a certificate or a key
 */
export async function openConnection(server: string, tls: TlsAccess, connections: number): Promise<Connection> {
  const url = new URL(server);
  const isTls = url.protocol === 'https:';
  const pool = { keepAlive: true, maxSockets: connections, timeout: IDLE_MS };
  const { Agent, request } = isTls ? await import('node:https') : await import('node:http');
  const agent: Agent = new Agent(isTls ? { ...pool, ...(await tlsOptions(tls)) } : pool);
  const target: RequestOptions = {
    agent,
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ''), // an IPv6 address without its brackets
    port: url.port === '' ? (isTls ? 443 : 80) : url.port,
  };
  const prefix = url.pathname.replace(/\/$/, '');
  return {
    send: ({ path, ...wanted }, limits) =>
      exchange(
        request({ ...target, method: wanted.method, path: prefix + path, headers: headersOf(wanted) }),
        wanted.body,
        limits,
      ),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

async function tlsOptions({ ca, certificate, key, serverName, isUnverified }: TlsAccess): Promise<AgentOptions> {
  const { createSecureContext, getCACertificates } = await import('node:tls');
  if (ca !== undefined) {
    const { X509Certificate } = await import('node:crypto');
    new X509Certificate(ca); // OpenSSL would pass over what it cannot read, and trust nobody
  }
  const trusted = ca ?? [...getCACertificates('bundled'), ...getCACertificates('system')];
  const files = certificate === undefined || key === undefined ? {} : { cert: certificate, key };
  return {
    secureContext: createSecureContext({ ...(isUnverified ? {} : { ca: trusted }), ...files }),
    rejectUnauthorized: !isUnverified,
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

const headersOf = ({ headers, body }: Omit<HttpRequest, 'path'>): Record<string, string> =>
  body === undefined ? headers : { ...headers, 'Content-Length': String(Buffer.byteLength(body)) };

function exchange(request: ClientRequest, body: string | undefined, limits: Limits): Promise<HttpAnswer> {
  const { timeoutMs, signal } = limits;
  const sending = watchSending(request);
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const fail = (cause: unknown): void =>
      finish(() => {
        request.destroy();
        reject(new Unanswered(cause, { wasSent: sending.isSent, wasReused: sending.isOnUsed }));
      });
    const abort = (): void =>
      finish(() => {
        request.destroy();
        reject(signal?.reason);
      });
    const timer = setTimeout(() => fail(new DeadlineExceeded()), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    request.on('error', fail); // also after the end, when nobody listens any more
    request.on('response', (answer) => {
      readBody(answer, (outcome) =>
        outcome instanceof Error
          ? fail(outcome)
          : finish(() => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: outcome })),
      );
    });
    request.end(body);
    if (signal?.aborted) {
      abort();
    }
  });
}

function readBody(answer: IncomingMessage, done: (outcome: string | Error) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  answer.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length > LONGEST_ANSWER) {
      done(new AnswerTooLong());
    }
  });
  answer.on('error', done);
  answer.on('end', () => done(Buffer.concat(chunks).toString('utf8')));
}

/** Sockets whose connection is made, with TLS after the server has shown who it is: nothing is sent before. */
const established = new WeakSet<Socket>();

interface Sending {
  isSent: boolean;
  /** on a connection that had served before */
  isOnUsed: boolean;
}

/** Node's own `reusedSocket` knows only those that were idle. */
function watchSending(request: ClientRequest): Readonly<Sending> {
  const sending = { isSent: false, isOnUsed: false };
  request.on('socket', (socket: Socket | TLSSocket) => {
    if (established.has(socket)) {
      sending.isSent = true;
      sending.isOnUsed = true;
      return;
    }
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
      established.add(socket);
      sending.isSent = true;
    });
  });
  return sending;
}
