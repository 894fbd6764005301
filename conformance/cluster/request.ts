/** Requests of the tests themselves: the programs under test have a client of their own. */
import { Agent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Target {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  /** a Unix socket that leads there */
  readonly socket?: string;
}

export interface Asked {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly body?: unknown;
  readonly contentType?: string;
}

export interface Answer {
  readonly status: number;
  /** parsed when it is JSON */
  readonly body: unknown;
}

const TIMEOUT_MS = 30_000;

/** A server that has just begun, or has too much to do, asks to be asked again. */
const TOO_MANY = 429;
const BUSY_TRIES = 30;
const BUSY_PAUSE_MS = 1000;

export type Send = (path: string, asked?: Asked) => Promise<Answer>;

/** A sender with connections of its own. */
export function senderTo({ url, ca, token, socket }: Target): Send & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: 16, ca });
  const once: Send = (path, asked = {}) =>
    new Promise((resolve, reject) => {
      const { method = 'GET', body, contentType = 'application/json' } = asked;
      const request = httpsRequest(
        `${url}${path}`,
        {
          method,
          agent,
          ...(socket === undefined ? {} : { socketPath: socket }),
          timeout: TIMEOUT_MS,
          headers: {
            Authorization: `Bearer ${token}`,
            ...(body === undefined ? {} : { 'Content-Type': contentType }),
          },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('error', reject);
          answer.on('end', () =>
            resolve({ status: answer.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString()) }),
          );
        },
      );
      request.on('timeout', () => request.destroy(new Error(`no answer to ${method} ${path}`)));
      request.on('error', (error: NodeJS.ErrnoException) =>
        // the server has closed a connection that was idle for long
        request.reusedSocket && error.code === 'ECONNRESET' ? resolve(once(path, asked)) : reject(error),
      );
      request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
    });
  const send: Send = async (path, asked) => {
    for (let tries = 1; ; tries++) {
      const answer = await once(path, asked);
      if (answer.status !== TOO_MANY || tries === BUSY_TRIES) {
        return answer;
      }
      await sleep(BUSY_PAUSE_MS);
    }
  };
  return Object.assign(send, { [Symbol.dispose]: () => agent.destroy() });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * The body of an answer that must be a success.
 *
 * @throws Error with what the server says
 */
export async function expectSuccess<T = unknown>(answering: Promise<Answer>): Promise<T> {
  const { status, body } = await answering;
  if (status > 299) {
    throw new Error(`the API server answers ${status}: ${JSON.stringify(body)}`);
  }
  return body as T;
}
