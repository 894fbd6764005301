/** An HTTP server for tests, on loopback, that answers as it is told. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Certified } from '../../testing/certificates.ts';

/** What a server got. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: Socket;
}

export type Behave = (received: Received, answer: ServerResponse) => void;

export interface FakeServer extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly Received[];
  /** connections that were made */
  readonly connections: () => number;
}

export interface Tls extends Certified {
  /** of clients' certificates */
  readonly ca?: string;
}

/** Starts one; with `tls` it speaks TLS. */
export async function serve(behave: Behave, tls?: Tls): Promise<FakeServer> {
  const received: Received[] = [];
  const listener = (request: IncomingMessage, answer: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers, socket } = request;
      const one = { method, url, headers, body: Buffer.concat(chunks).toString(), socket };
      received.push(one);
      behave(one, answer);
    });
  };
  const server =
    tls === undefined
      ? createServer(listener)
      : createTlsServer(
          {
            cert: tls.certificate,
            key: tls.key,
            ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true, rejectUnauthorized: true }),
          },
          listener,
        );
  server.on('tlsClientError', () => undefined);
  const { port, sockets } = await listen(server);
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    received,
    connections: () => sockets.length,
    [Symbol.asyncDispose]: () => close(server, sockets),
  };
}

/** Starts one that does with its connections what it wants, and speaks no HTTP unless told to. */
export async function serveRaw(behave: (socket: Socket) => void): Promise<Pick<FakeServer, 'url'> & AsyncDisposable> {
  const { createServer: createRawServer } = await import('node:net');
  const server = createRawServer((socket) => {
    socket.on('error', () => undefined);
    behave(socket);
  });
  const { port, sockets } = await listen(server);
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => close(server, sockets) };
}

async function listen(server: Server): Promise<{ readonly port: number; readonly sockets: readonly Socket[] }> {
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => {
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, sockets };
}

function close(server: Server, sockets: readonly Socket[]): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) {
      socket.destroy();
    }
  });
}

/** Answers with a document. */
export function reply(
  answer: ServerResponse,
  status: number,
  document: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  answer.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  answer.end(JSON.stringify(document));
}

/** Refuses as an API server does. */
export const refuse = (
  answer: ServerResponse,
  code: number,
  reason: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void => reply(answer, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }, headers);
