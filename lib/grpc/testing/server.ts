/** A gRPC server for tests, on a Unix socket in a folder of its own, that behaves as it is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { createServer as createRawServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prefixed } from '../framing.ts';

/** What a server got, and how it answers. */
export interface Incoming {
  readonly method: string;
  readonly request: Buffer;
  readonly stream: ServerHttp2Stream;
}

export interface FakeGrpc extends AsyncDisposable {
  readonly socket: string;
  /** methods, in order */
  readonly calls: readonly string[];
}

export async function serveGrpc(behave: (incoming: Incoming) => void, at?: string): Promise<FakeGrpc> {
  const calls: string[] = [];
  const sessions: ServerHttp2Session[] = [];
  const server = createServer();
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const method = String(headers[':path']);
      calls.push(method);
      behave({ method, request: Buffer.concat(chunks).subarray(5), stream });
    });
  });
  const socket = await listening(server, at);
  const end = () => {
    for (const session of sessions) {
      session.destroy();
    }
  };
  return { socket: socket.path, calls, [Symbol.asyncDispose]: () => closed(server, end, socket) };
}

/** One that does with its connections what it wants. */
export async function serveRaw(behave: (socket: Socket) => void): Promise<Pick<FakeGrpc, 'socket'> & AsyncDisposable> {
  const sockets: Socket[] = [];
  const server = createRawServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    behave(socket);
  });
  const socket = await listening(server);
  const end = () => {
    for (const one of sockets) {
      one.destroy();
    }
  };
  return { socket: socket.path, [Symbol.asyncDispose]: () => closed(server, end, socket) };
}

/** Answers with a message. */
export const answer = ({ stream }: Incoming, message: Uint8Array): void => answerRaw(stream, prefixed(message));

/** Answers with bytes of a body, and a status behind it. */
export function answerRaw(
  stream: ServerHttp2Stream,
  body: Uint8Array,
  trailers: object = { 'grpc-status': '0' },
): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ ...trailers }));
  stream.end(body);
}

/** Refuses as grpc-go does: headers are all there is. */
export const refuse = ({ stream }: Incoming, status: number, message: string): void =>
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(status),
      'grpc-message': encodeURI(message),
    },
    { endStream: true },
  );

interface Place {
  readonly path: string;
  readonly folder: string | undefined;
}

async function listening(server: Pick<Server, 'listen' | 'once'>, at?: string): Promise<Place> {
  const folder = at === undefined ? mkdtempSync(join(tmpdir(), 'braid-test-grpc-')) : undefined;
  const path = at ?? join(folder ?? '', 'socket');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return { path, folder };
}

async function closed(server: Pick<Server, 'close'>, end: () => void, { folder }: Place): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    end();
  });
  if (folder !== undefined) {
    rmSync(folder, { recursive: true, force: true });
  }
}
