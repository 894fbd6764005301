import type { Agent, RequestOptions } from 'node:http';
import { knownAuthorities } from '../sys/known-authorities.ts';

export interface Posted {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs?: number;
}

/**
 * Sends one document.
 *
 * @throws Error when there is no answer in time
 */
export type Sender = (body: string, signal: AbortSignal) => Promise<Posted>;

export interface Target {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** Of an answer, which says little. */
const MOST_BYTES = 64 * 1024;

/** Posts JSON there, over a connection that is kept. Node's HTTP is loaded with the first document. */
export function posterTo({ url, headers, timeoutMs }: Target): Sender {
  let agent: Agent | undefined;
  return async (body, signal) => {
    const isTls = url.protocol === 'https:';
    const http = isTls ? await import('node:https') : await import('node:http');
    agent ??= new http.Agent({ keepAlive: true, maxSockets: 1, ...(isTls && { ca: await knownAuthorities() }) });
    const options: RequestOptions = {
      method: 'POST',
      agent,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      headers: { ...headers, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
    };
    return new Promise((resolve, reject) => {
      const request = http.request(url, options, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > MOST_BYTES) {
            request.destroy(new Error(`the answer has more than ${MOST_BYTES} bytes`));
          }
        });
        answer.once('error', reject);
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text, ...pauseIn(answer.headers) }));
      });
      request.once('error', (error) => reject(options.signal?.aborted ? new Error('no answer in time') : error));
      request.end(body);
    });
  };
}

function pauseIn(headers: Readonly<Record<string, string | readonly string[] | undefined>>): Partial<Posted> {
  const text = headers['retry-after'];
  const seconds = Number(text);
  return typeof text === 'string' && Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {};
}
