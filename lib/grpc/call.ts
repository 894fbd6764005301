import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { CniError, messageOf } from '../cni/errors.ts';
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
 * Makes one gRPC call with one answer on a Unix socket: HTTP/2 with length-prefixed messages. HTTP/2 is imported on demand,
 * since most calls of a plugin need none.
 *
 * @throws GrpcError; the reason of the signal
 */
export async function callGrpc(call: GrpcCall): Promise<Buffer> {
  const { connect } = await import('node:http2');
  const net = await import('node:net');
  call.signal?.throwIfAborted();
  const session = connect('http://localhost', { createConnection: () => net.connect(call.socket) });
  try {
    return await answerOf(session, call);
  } finally {
    session.destroy();
  }
}

function answerOf(session: ClientHttp2Session, call: GrpcCall): Promise<Buffer> {
  const { method, request, timeoutMs, longest = LONGEST, signal } = call;
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const fail = (status: number, why: string, said = ''): void =>
      finish(() => reject(new GrpcError(call, status, why, said)));
    const abort = (): void => finish(() => reject(signal?.reason));
    const timer = setTimeout(() => fail(STATUS.deadlineExceeded, `no answer within ${timeoutMs} ms`), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    session.on('error', (error) => fail(...faultOf(error)));
    const stream = session.request({
      ':method': 'POST',
      ':path': method,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', (error) => fail(...faultOf(error)));
    const answer = collect(stream, longest, () => fail(STATUS.internal, `the answer is longer than ${longest} bytes`));
    stream.on('close', () => {
      const { status, said, httpStatus } = answer.status();
      if (status === undefined && httpStatus !== undefined && httpStatus !== 200) {
        fail(STATUS.internal, `what it says is not gRPC: HTTP status ${httpStatus}`);
      } else if (status === undefined) {
        fail(STATUS.unavailable, 'the connection broke before the answer was complete');
      } else if (status !== STATUS.ok) {
        fail(status, `${said === '' ? 'no reason given' : said} (gRPC status ${status})`, said);
      } else {
        const message = messageIn(answer.body());
        if (typeof message === 'string') {
          fail(STATUS.internal, message);
        } else {
          finish(() => resolve(message));
        }
      }
    });
    stream.end(prefixed(request));
  });
}

/** Gathers what comes on a stream. */
function collect(stream: ClientHttp2Stream, longest: number, onTooLong: () => void) {
  const chunks: Buffer[] = [];
  let length = 0;
  let headers: Readonly<Record<string, unknown>> = {};
  const keep = (more: Readonly<Record<string, unknown>>): void => {
    headers = { ...headers, ...more };
  };
  stream.on('response', keep); // has the status too when there is nothing else
  stream.on('trailers', keep);
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > longest + PREFIX_BYTES) {
      onTooLong();
    } else {
      chunks.push(chunk);
    }
  });
  return { status: () => statusIn(headers), body: () => Buffer.concat(chunks) };
}

/** What the errors of sockets and of HTTP/2 mean: an error of the socket is the cause of those of its streams. */
function faultOf(error: unknown): readonly [status: number, why: string] {
  const { code, cause } = error as NodeJS.ErrnoException;
  if (cause instanceof Error) {
    return faultOf(cause);
  }
  return code === 'ERR_HTTP2_ERROR'
    ? [STATUS.internal, `what it says is not HTTP/2: ${messageOf(error)}`]
    : [STATUS.unavailable, messageOf(error)];
}
