import { CniError, messageOf } from '../cni/errors.ts';

/** The server does not implement the method. */
export class Unimplemented extends Error {
  override readonly name = 'Unimplemented';
}

const UNIMPLEMENTED = 12;
const PREFIX_BYTES = 5;

/**
 * Makes one gRPC call on a Unix socket: HTTP/2 with length-prefixed messages. HTTP/2 is imported on demand, since no
 * plugin needs it.
 *
 * @throws Unimplemented; CniError when the server cannot be reached, times out or returns an error
 */
export async function callGrpc(socket: string, method: string, request: Buffer, timeoutMs: number): Promise<Buffer> {
  const { connect } = await import('node:http2');
  const net = await import('node:net');
  const failure = (why: string): CniError => new CniError('internal', `cannot call ${method} of "${socket}": ${why}`);
  return new Promise((resolve, reject) => {
    const session = connect('http://localhost', { createConnection: () => net.connect(socket) });
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      session.destroy();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(failure(`no answer within ${timeoutMs} ms`))), timeoutMs);
    session.on('error', (error) => end(() => reject(failure(messageOf(error)))));
    const stream = session.request({
      ':method': 'POST',
      ':path': method,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    let status: readonly [code: number, message: string] = [-1, 'the connection was lost'];
    const readStatus = (headers: Readonly<Record<string, unknown>>): void => {
      if (headers['grpc-status'] !== undefined) {
        status = [Number(headers['grpc-status']), decodeURIComponent(String(headers['grpc-message'] ?? ''))];
      }
    };
    stream.on('response', readStatus);
    stream.on('trailers', readStatus);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', (error) => end(() => reject(failure(messageOf(error)))));
    stream.on('close', () =>
      end(() => {
        const [code, message] = status;
        if (code === 0) {
          resolve(Buffer.concat(chunks).subarray(PREFIX_BYTES));
        } else {
          reject(code === UNIMPLEMENTED ? new Unimplemented(message) : failure(message));
        }
      }),
    );
    stream.end(framed(request));
  });
}

/** A flag (0: not compressed), then the length. */
function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
