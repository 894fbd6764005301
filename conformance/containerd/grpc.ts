/** gRPC over a Unix socket, one request and one answer a call: HTTP/2 does the rest. */
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';

/** What a gRPC server answers a call that failed with. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const UNAVAILABLE = 14;
const DEADLINE_EXCEEDED = 4;
const PREFIX_BYTES = 5;

export class GrpcClient implements Disposable {
  private readonly socket: string;
  private session: ClientHttp2Session | undefined;

  constructor(socket: string) {
    this.socket = socket;
  }

  /** @throws GrpcError, also when the server cannot be reached or does not answer in time */
  call(method: string, request: Buffer, deadlineMs: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.open().request({
        ':method': 'POST',
        ':path': method,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      const chunks: Buffer[] = [];
      let status: readonly [code: number, message: string] | undefined;
      const readStatus = (headers: Readonly<Record<string, unknown>>): void => {
        if (headers['grpc-status'] !== undefined) {
          status = [Number(headers['grpc-status']), decodeURIComponent(String(headers['grpc-message'] ?? ''))];
        }
      };
      const timer = setTimeout(() => {
        status = [DEADLINE_EXCEEDED, `${method} took longer than ${deadlineMs} ms`];
        stream.close();
      }, deadlineMs);
      stream.on('response', readStatus);
      stream.on('trailers', readStatus);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', (error) => {
        status ??= [UNAVAILABLE, String(error)];
      });
      stream.on('close', () => {
        clearTimeout(timer);
        const [code, message] = status ?? [UNAVAILABLE, `${method}: the connection was lost`];
        return code === 0
          ? resolve(Buffer.concat(chunks).subarray(PREFIX_BYTES))
          : reject(new GrpcError(code, message));
      });
      stream.end(framed(request));
    });
  }

  [Symbol.dispose](): void {
    this.session?.destroy();
    this.session = undefined;
  }

  /** A server that went away and came back gets a new connection. */
  private open(): ClientHttp2Session {
    if (this.session === undefined || this.session.closed || this.session.destroyed) {
      const session = connect('http://localhost', { createConnection: () => connectSocket(this.socket) });
      session.on('error', () => session.destroy()); // its streams end with it
      this.session = session;
    }
    return this.session;
  }
}

/** Not compressed (one byte), then the length. */
function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
