import { CniError, messageOf } from '../cni/errors.ts';
import { ApiError } from './api.ts';

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

/** An error of the API as one for the runtime; any other stays as it is. */
export function faultOf(error: unknown): unknown {
  return error instanceof ApiError
    ? new CniError(isTransient(error) ? 'tryAgainLater' : 'internal', messageOf(error), { cause: error })
    : error;
}
