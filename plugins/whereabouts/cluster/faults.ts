import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { ApiError } from '../../../lib/kube/api.ts';

/** A pool's object has reached the size that etcd takes. */
export const POOL_TOO_LARGE = 100;

const [REQUEST_TIMEOUT, TOO_LARGE, TOO_MANY] = [408, 413, 429];

/** Might the same request be answered in another way a moment later? */
export const isTransient = (error: ApiError): boolean =>
  !isTooLarge(error) &&
  (error.isOutcomeUnknown ||
    error.status === undefined ||
    error.status === REQUEST_TIMEOUT ||
    error.status === TOO_MANY ||
    error.status >= 500);

/** etcd's own limit comes as an internal error, and only its text tells. */
export const isTooLarge = ({ status, message }: ApiError): boolean =>
  status === TOO_LARGE || /request is too large|trying to send message larger than max/.test(message);

/** The client's message says what was asked for. */
export function faultOf(error: unknown): unknown {
  return error instanceof ApiError
    ? new CniError(isTransient(error) ? 'tryAgainLater' : 'internal', messageOf(error), { cause: error })
    : error;
}

export const poolTooLarge = (name: string, entries: number, cause?: unknown): CniError =>
  new CniError(
    POOL_TOO_LARGE,
    `cannot reserve in pool "${name}": its object has ${entries} addresses and cannot hold more: ` +
      'divide the range among several networks',
    { cause },
  );
