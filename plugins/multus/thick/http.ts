/** Answers as the handlers give them: whoever serves has the socket. */
import type { CniError } from '../../../lib/cni/errors.ts';
import { compact, type JsonObject } from '../../../lib/cni/json.ts';
import type { HttpAnswer } from '../../../lib/cni/service.ts';

const JSON_HEADERS = { 'Content-Type': 'application/json' };

/** As Go's `http.Error` has them. */
const TEXT_HEADERS = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' };

export const EMPTY: HttpAnswer = { status: 200, headers: {}, body: '' };
export const NOT_FOUND: HttpAnswer = { status: 404, headers: {}, body: '' };
export const WRONG_METHOD: HttpAnswer = textAnswer(405, 'Method not allowed');
export const SHUTTING_DOWN: HttpAnswer = textAnswer(500, 'shutting down');

export const jsonAnswer = (document: JsonObject): HttpAnswer => ({
  status: 200,
  headers: JSON_HEADERS,
  body: compact(document),
});

/** What a client did wrong, or what became of its call, in words. */
export const refusal = (text: string): HttpAnswer => textAnswer(400, text);

/** A failed call that has a code of its own, as CNI tells errors. */
export const coded = ({ code, message, details }: CniError): HttpAnswer => ({
  status: 400,
  headers: JSON_HEADERS,
  body: compact({ code, msg: message, ...(details ? { details } : {}) }),
});

function textAnswer(status: number, text: string): HttpAnswer {
  return { status, headers: TEXT_HEADERS, body: `${text}\n` };
}
