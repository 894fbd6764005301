/** HTTP with callers of a unix socket: one request each, of bounded size and time, of users who may call. */
import { closeSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { messageOf } from '../cni/errors.ts';
import type { HttpAnswer, HttpRequest } from '../cni/service.ts';
import type { Native } from '../netns/native.ts';
import { Places } from '../sys/places.ts';
import { MOST_STDIN, MOST_WORDS } from './frame.ts';
import { CHUNK, SEND_MS } from './receive.ts';

export interface HttpParts {
  readonly native: Native;
  /** whether a user may call */
  readonly admits: (uid: number) => boolean;
  readonly log: (line: string) => void;
  /** Answers a request; the signal fires when nobody waits for the answer any more. Never throws. */
  readonly answer: (request: HttpRequest, gone: AbortSignal) => Promise<HttpAnswer>;
}

/** What a launcher may send, with the configuration in base64, and with each byte of the environment escaped. */
const MOST_BODY = Math.ceil((MOST_STDIN * 4) / 3) + 6 * MOST_WORDS;

/** Requests of more than 64 KiB that are in memory at the same time. */
const LARGE_AT_ONCE = 4;

const TOO_LARGE: HttpAnswer = { status: 413, headers: {}, body: '' };

/** @returns what attends to a caller, whose descriptor it owns; never rejects */
export async function attendHttp(parts: HttpParts): Promise<(fd: number) => Promise<void>> {
  const { native, admits, log } = parts;
  const [http, net] = await Promise.all([import('node:http'), import('node:net')]);
  const large = new Places(LARGE_AT_ONCE);
  const deadlines = new WeakMap<Socket, Deadline>();
  const server = http.createServer((request, response) => {
    const deadline = deadlines.get(request.socket) as Deadline;
    serveRequest(parts, { request, response, deadline, large }).catch((error: unknown) => {
      log(`cannot serve a caller over HTTP: ${messageOf(error)}`);
      request.socket.destroy();
    });
  });
  server.maxRequestsPerSocket = 1; // as the Go server; who sends more at once is refused
  return async (fd) => {
    const uid = native.peerUid(fd);
    if (!admits(uid)) {
      log(`cannot serve a caller over HTTP: user ${uid} may not call`);
      closeSync(fd);
      return;
    }
    const socket = new net.Socket({ fd, allowHalfOpen: true }); // as those that a server of Node's own accepts
    const deadline = new Deadline(socket, log);
    deadlines.set(socket, deadline);
    deadline.set();
    await new Promise<void>((resolve) => {
      socket.once('close', () => {
        deadline.clear();
        resolve();
      });
      server.emit('connection', socket);
    });
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly deadline: Deadline;
  readonly large: Places;
}

async function serveRequest({ answer }: HttpParts, { request, response, deadline, large }: Exchange): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) {
      gone.abort(new Error('the caller has gone'));
    }
  });
  try {
    using body = await receiveBody(request, large, deadline, gone.signal);
    deadline.clear();
    const { method = '', url = '' } = request;
    const whole =
      body.bytes === undefined ? TOO_LARGE : await answer({ method, path: url, body: body.bytes }, gone.signal);
    deadline.set();
    send(response, whole);
  } catch (error) {
    if (!gone.signal.aborted) {
      throw error;
    }
  }
}

function send(response: ServerResponse, { status, headers, body }: HttpAnswer): void {
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body), Connection: 'close' });
  response.end(body);
}

interface Body extends Disposable {
  /** undefined when there are too many */
  readonly bytes: Buffer | undefined;
}

/** A large body waits for one of a few places, which it has until its call has ended. */
async function receiveBody(
  request: IncomingMessage,
  large: Places,
  deadline: Deadline,
  gone: AbortSignal,
): Promise<Body> {
  const chunks: Buffer[] = [];
  let size = 0;
  let place: Disposable | undefined;
  const dispose = (): void => place?.[Symbol.dispose]();
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MOST_BODY) {
        return { bytes: undefined, [Symbol.dispose]: dispose };
      }
      if (size > CHUNK && place === undefined) {
        deadline.clear(); // it is not the caller who takes so long
        place = await large.take(gone);
        deadline.set();
      }
      chunks.push(chunk);
    }
    return { bytes: Buffer.concat(chunks), [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** How long a caller may take to send its request, and to take its answer. */
class Deadline {
  private readonly socket: Socket;
  private readonly log: (line: string) => void;
  private timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, log: (line: string) => void) {
    this.socket = socket;
    this.log = log;
  }

  set(): void {
    this.clear();
    this.timer = setTimeout(() => {
      this.log(`cannot serve a caller over HTTP: it took longer than ${SEND_MS / 1000} s`);
      this.socket.destroy();
    }, SEND_MS);
  }

  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
