import { CniError, messageOf } from '../cni/errors.ts';

/** Node writes `ENOSPC: no space left on device, write`, with the path at the end when it knows one. */
const SYSTEM_MESSAGE = /^[A-Z0-9]+: ([^,]+), /;

/** A file operation that failed: code 5, with the path and the kernel's text. */
export function ioError(operation: string, path: string, error: unknown): CniError {
  const { code } = error as NodeJS.ErrnoException;
  const text = SYSTEM_MESSAGE.exec(messageOf(error))?.[1];
  const why = code !== undefined && text !== undefined ? `${code} (${text})` : messageOf(error);
  return new CniError('ioFailure', `cannot ${operation} "${path}": ${why}`, { cause: error });
}

const SHORTAGES = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN', 'EINTR'];

/** Did the system lack something for the moment? Then the error tells nothing of the file, and another try may succeed. */
export function isShortage(error: unknown): boolean {
  if (!(error instanceof Error)) {
    return false;
  }
  return SHORTAGES.includes((error as NodeJS.ErrnoException).code ?? '') || isShortage(error.cause);
}

/** Nothing is at the path, or nothing can be: its name is longer than a name may be. Any other error proves no absence. */
export const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '');
