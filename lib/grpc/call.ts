import type { Socket } from 'node:net';
import { CniError, messageOf } from '../cni/errors.ts';
import { ExchangeReader, farewell, requestBytes } from './exchange.ts';
import { NotHttp2 } from './frames.ts';
import { messageIn, PREFIX_BYTES, prefixed, statusIn } from './framing.ts';

/** https://grpc.io/docs/guides/status-codes/ */
export const STATUS = {
  ok: 0,
  unknown: 2,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/**
 * A call that failed. The status is the server's, or says what happened to the call: `unavailable` when nobody listens or
 * the connection broke, `deadlineExceeded`, `internal` for an answer that is none.
 */
export class GrpcError extends CniError {
  readonly status: number;
  /** the server's own words; '' when it said nothing */
  readonly said: string;

  constructor({ method, socket }: Pick<GrpcCall, 'method' | 'socket'>, status: number, why: string, said = '') {
    super('internal', `cannot call ${method} of "${socket}": ${why}`);
    this.status = status;
    this.said = said;
  }
}

export interface GrpcCall {
  /** path of the Unix socket */
  readonly socket: string;
  /** `/v1.PodResourcesLister/List` */
  readonly method: string;
  readonly request: Uint8Array;
  readonly timeoutMs: number;
  /** of the answer, in bytes; default 16 MiB */
  readonly longest?: number;
  readonly signal?: AbortSignal;
}

/** What clients of kubelets and container runtimes usually take. */
const LONGEST = 16 * 1024 * 1024;

/**
 * Makes one gRPC call with one answer on a Unix socket. HTTP/2 is our own, as much of it as that takes: Node's costs 20 ms
 * to load, and a plugin is loaded for each call.
 *
 * @throws GrpcError; the reason of the signal
 */
export async function callGrpc(call: GrpcCall): Promise<Buffer> {
  const { connect } = await import('node:net');
  call.signal?.throwIfAborted();
  return resultOf(call, await exchanged(connect(call.socket), call));
}

function exchanged(socket: Socket, call: GrpcCall): Promise<ExchangeReader> {
  const { method, request, timeoutMs, longest = LONGEST, signal } = call;
  const reader = new ExchangeReader(longest + PREFIX_BYTES);
  const headers = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': method,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const giveUp = (error: unknown): void =>
      finish(() => {
        socket.destroy();
        reject(error);
      });
    const fail = (status: number, why: string): void => giveUp(new GrpcError(call, status, why));
    const abort = (): void => giveUp(signal?.reason);
    const timer = setTimeout(() => fail(STATUS.deadlineExceeded, `no answer within ${timeoutMs} ms`), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    socket.on('error', (error) => fail(STATUS.unavailable, messageOf(error)));
    socket.on('close', () => fail(STATUS.unavailable, 'the connection broke before the answer was complete'));
    socket.on('data', (chunk: Buffer) => {
      try {
        socket.write(reader.push(chunk));
        if (reader.isComplete) {
          socket.write(farewell());
          socket.destroySoon();
          finish(() => resolve(reader));
        }
      } catch (error) {
        fail(...faultOf(error, longest));
      }
    });
    socket.write(requestBytes(headers, prefixed(request)));
  });
}

function faultOf(error: unknown, longest: number): readonly [status: number, why: string] {
  if (error instanceof NotHttp2) {
    return [STATUS.internal, `what it says is not HTTP/2: ${error.message}`];
  }
  return error instanceof RangeError
    ? [STATUS.internal, `the answer is longer than ${longest} bytes`]
    : [STATUS.unavailable, messageOf(error)];
}

function resultOf(call: GrpcCall, { headers, body }: ExchangeReader): Buffer {
  const { status, said, httpStatus } = statusIn(headers);
  if (status === undefined) {
    const why = httpStatus === '200' ? 'no status at the end' : `HTTP status ${httpStatus}`;
    throw new GrpcError(call, STATUS.internal, `what it says is not gRPC: ${why}`);
  }
  if (status !== STATUS.ok) {
    throw new GrpcError(call, status, `${said === '' ? 'no reason given' : said} (gRPC status ${status})`, said);
  }
  const message = messageIn(body);
  if (typeof message === 'string') {
    throw new GrpcError(call, STATUS.internal, message);
  }
  return message;
}
