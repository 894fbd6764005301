import { clockOf } from '../sys/clock.ts';
import type { Access } from './access.ts';
import { errorIn, isSuccess, isWorthAnother, objectIn, retryAfterMs, strangeSuccess } from './answers.ts';
import { ApiError } from './api.ts';
import { ConnectionLost, type Limits, type Streamed, Unanswered } from './connection.ts';
import { sentenceOf } from './failures.ts';
import type { HttpAnswer, HttpRequest } from './http.ts';
import type { Session, Sessions } from './sessions.ts';

export interface Question extends Omit<HttpRequest, 'headers'> {
  readonly contentType?: string;
  /** for messages: `get pods "a" in "b"` */
  readonly action: string;
  /** a form of the answer other than the whole object */
  readonly accept?: string;
  /** an answer that comes in parts, which the sink gets; it is not asked for again */
  readonly streamed?: Streamed;
}

const UNAUTHORIZED = 401;

/** Whatever the server asks for, "0" too. */
const LEAST_PAUSE_MS = 50;

/** Before a "/" it would be what the server calls the manager of the fields: it is all. */
const USER_AGENT = 'braid';

const isWrite = ({ method }: Question): boolean => method !== 'GET';

/**
 * Asks the server. The time includes what is asked again: by a server that wants to be left alone for a moment, with
 * credentials that were renewed, after an idle connection was lost. It does not include waits for a connection.
 *
 * @throws ApiError; the reason of the signal
 */
export async function ask(sessions: Sessions, question: Question, { timeoutMs, signal }: Limits): Promise<object> {
  const { now, sleep } = clockOf(signal);
  let end = now() + timeoutMs;
  const waited = (ms: number): void => {
    end += ms;
  };
  let session = sessions.current;
  let isRenewed = false;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await answerOn(session, question, { timeoutMs: end - now(), signal, waited }, timeoutMs);
    if (answer === undefined) {
      continue;
    }
    if (isSuccess(answer)) {
      return found(answer, question);
    }
    const newer = answer.status === UNAUTHORIZED && !isRenewed ? await sessions.newerThan(session) : undefined;
    const pause = Math.max(retryAfterMs(answer) ?? 0, LEAST_PAUSE_MS);
    if (newer !== undefined) {
      isRenewed = true;
      session = newer;
    } else if (isWorthAnother(answer, isWrite(question)) && now() + pause < end) {
      await sleep(pause);
    } else {
      throw errorIn(answer, question.action, isWrite(question), await adviceOn(answer, session.access));
    }
  }
}

function found(answer: HttpAnswer, question: Question): object {
  const object = question.streamed === undefined ? objectIn(answer) : {};
  if (object === undefined) {
    throw strangeSuccess(answer, question.action, isWrite(question));
  }
  return object;
}

/** @returns undefined when an idle connection was lost and nothing can come of asking again */
async function answerOn(
  { access, connection }: Session,
  question: Question,
  limits: Limits,
  timeoutMs: number,
): Promise<HttpAnswer | undefined> {
  const { method, path, body, contentType, action, accept = 'application/json', streamed } = question;
  const headers = {
    Accept: accept,
    'User-Agent': USER_AGENT,
    ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
    ...(access.token === undefined ? {} : { Authorization: `Bearer ${access.token}` }),
  };
  const request = { method, path, headers, ...(body === undefined ? {} : { body }) };
  try {
    return await (streamed === undefined
      ? connection.send(request, limits)
      : connection.stream(request, limits, streamed));
  } catch (error) {
    if (!(error instanceof Unanswered)) {
      throw error;
    }
    if (error.cause instanceof ApiError) {
      throw error.cause; // of the sink
    }
    if (error.wasReused && !isWrite(question) && streamed === undefined && isLost(error.cause)) {
      return undefined;
    }
    throw new ApiError(`cannot ${action}: ${sentenceOf(error.cause, { ...access, timeoutMs })}`, {
      isOutcomeUnknown: isWrite(question) && error.wasSent,
      cause: error.cause,
    });
  }
}

const isLost = (cause: unknown): boolean =>
  cause instanceof ConnectionLost || ['ECONNRESET', 'EPIPE'].includes((cause as NodeJS.ErrnoException).code ?? '');

/** Whose credentials a server refuses, and what is known to be wrong with them. */
async function adviceOn({ status }: HttpAnswer, { origin, tls, token }: Access): Promise<string> {
  if (status !== UNAUTHORIZED) {
    return '';
  }
  if (token !== undefined) {
    return `: the token of the ${origin} is not accepted, or has expired`;
  }
  if (tls.certificate === undefined) {
    return `: the ${origin} has neither a token nor a client certificate`;
  }
  const { X509Certificate } = await import('node:crypto');
  const { validTo, validToDate } = new X509Certificate(tls.certificate);
  return validToDate.getTime() < Date.now()
    ? `: the client certificate of the ${origin} has expired (${validTo})`
    : `: the client certificate of the ${origin} is not accepted`;
}
