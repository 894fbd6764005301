/** What an API server's answers mean. */
import { bounded } from '../cni/errors.ts';
import { ApiError } from './api.ts';
import type { HttpAnswer } from './http.ts';

/** https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#status-v1-meta */
interface Status {
  readonly kind: 'Status';
  readonly message?: string;
  readonly reason?: string;
}

const LONGEST_SENTENCE = 1000;
const NO_CONTENT = 204;
const NOT_FOUND = 404;
const TOO_MANY_REQUESTS = 429;
const NOT_IMPLEMENTED = 501;
const SERVER_FAULT = 500;

export const isSuccess = ({ status }: HttpAnswer): boolean => status >= 200 && status <= 299;

/**
 * The object in a successful answer.
 *
 * @returns undefined when this is not what an API server says
 */
export function objectIn({ status, body }: HttpAnswer): object | undefined {
  if (status === NO_CONTENT) {
    return {};
  }
  const document = parsed(body);
  return document !== undefined && 'kind' in document ? document : undefined;
}

/** The error in any other answer. */
export function errorIn(answer: HttpAnswer, action: string, isWrite: boolean, advice = ''): ApiError {
  const said = statusIn(answer);
  return new ApiError(`cannot ${action}: ${said === undefined ? foreign(answer) : sentence(said, answer)}${advice}`, {
    status: answer.status,
    reason: said?.reason ?? '',
    isOutcomeUnknown: isWrite && isInDoubt(answer.status),
    retryAfterMs: retryAfterMs(answer),
  });
}

/** The server's own words; of a refused patch they are as few as these. */
const sentence = ({ message = '', reason = '' }: Status, { status }: HttpAnswer): string =>
  `${bounded(message === '' ? 'no reason given' : message, LONGEST_SENTENCE)} (${[status, reason].join(' ').trim()})`;

/** A server that got so far may have stored the object: only some answers are given before. */
const isInDoubt = (status: number): boolean => status >= SERVER_FAULT && status !== NOT_IMPLEMENTED;

/** Not in the form of an API server, but of what is before it, or of something else. */
function foreign({ status, headers, body }: HttpAnswer): string {
  const type = String(headers['content-type'] ?? 'nothing').split(';')[0];
  if (status === NOT_FOUND && type === 'text/plain' && body.startsWith('404 page not found')) {
    return 'the API server does not know this kind of objects: is its CRD installed (404)';
  }
  if (status === 400 && body.startsWith('Client sent an HTTP request to an HTTPS server')) {
    return 'the server speaks TLS: its URL must begin with https:// (400)';
  }
  return `the answer is not that of an API server: ${status} with ${type}`;
}

/** The error of an answer that is a success, but not one of an API server. */
export const strangeSuccess = ({ status, headers }: HttpAnswer, action: string, isWrite: boolean): ApiError =>
  new ApiError(
    `cannot ${action}: the answer is not that of an API server: ${status} with ${String(headers['content-type'] ?? 'nothing').split(';')[0]}`,
    { status, isOutcomeUnknown: isWrite },
  );

function statusIn({ body }: HttpAnswer): Status | undefined {
  const document = parsed(body);
  return document !== undefined && 'kind' in document && document.kind === 'Status' ? (document as Status) : undefined;
}

function parsed(body: string): object | undefined {
  try {
    const document: unknown = JSON.parse(body);
    return typeof document === 'object' && document !== null ? document : undefined;
  } catch {
    return undefined;
  }
}

/** In seconds, or as a date (RFC 9110, 10.2.3). */
export function retryAfterMs({ headers }: HttpAnswer, now = Date.now()): number | undefined {
  const text = String(headers['retry-after'] ?? '').trim();
  if (/^\d+$/.test(text)) {
    return Number(text) * 1000;
  }
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** May the same request be sent again? A write only when the server has not begun with it. */
export const isWorthAnother = (answer: HttpAnswer, isWrite: boolean): boolean =>
  retryAfterMs(answer) !== undefined &&
  (answer.status === TOO_MANY_REQUESTS || (!isWrite && answer.status >= SERVER_FAULT));
