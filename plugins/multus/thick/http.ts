/** Requests and answers, as far as the handlers see them: whoever serves them has the socket. */
import { type CniError, CODES } from '../../../lib/cni/errors.ts';
import { compact, type JsonObject } from '../../../lib/cni/json.ts';

export interface HttpRequest {
  readonly method: string;
  /** a query is not looked at */
  readonly path: string;
  readonly body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const JSON_HEADERS = { 'Content-Type': 'application/json' };

/** As Go's `http.Error` has them. */
const TEXT_HEADERS = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' };

export const EMPTY: HttpAnswer = { status: 200, headers: {}, body: '' };
export const NOT_FOUND: HttpAnswer = textAnswer(404, '404 page not found');
export const WRONG_METHOD: HttpAnswer = textAnswer(405, 'Method not allowed');
export const SHUTTING_DOWN: HttpAnswer = textAnswer(500, 'shutting down');

export const jsonAnswer = (document: JsonObject): HttpAnswer => ({
  status: 200,
  headers: JSON_HEADERS,
  body: compact(document),
});

/** What a client did wrong, or what became of its call, in words. */
export const refusal = (text: string): HttpAnswer => textAnswer(400, text);

/**
 * A failed call. One that has a code of its own keeps it, and is told as CNI tells errors; of others there is only the
 * text, with what was asked.
 *
 * @param said the text for those without a code
 */
export function failure({ code, message, details }: CniError, said: string): HttpAnswer {
  return code === CODES.internal
    ? refusal(said)
    : { status: 400, headers: JSON_HEADERS, body: compact({ code, msg: message, ...(details ? { details } : {}) }) };
}

function textAnswer(status: number, text: string): HttpAnswer {
  return { status, headers: TEXT_HEADERS, body: `${text}\n` };
}
