import { CniError, messageOf } from '../cni/errors.ts';

/** Node's form: `ENOSPC: no space left on device, write`, plus the path if there is one. */
const SYSTEM_MESSAGE = /^[A-Z0-9]+: ([^,]+), /;

/** The error of a failed file operation: code 5, with the path and the kernel's text. */
export function ioError(operation: string, path: string, error: unknown): CniError {
  const { code } = error as NodeJS.ErrnoException;
  const text = SYSTEM_MESSAGE.exec(messageOf(error))?.[1];
  const why = code !== undefined && text !== undefined ? `${code} (${text})` : messageOf(error);
  return new CniError('ioFailure', `cannot ${operation} "${path}": ${why}`, { cause: error });
}

const SHORTAGES = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN', 'EINTR'];

/** Whether the system was short of a resource: that proves nothing about the file, and a retry may succeed. */
export function isShortage(error: unknown): boolean {
  if (!(error instanceof Error)) {
    return false;
  }
  return SHORTAGES.includes((error as NodeJS.ErrnoException).code ?? '') || isShortage(error.cause);
}

/** Whether the path does not exist, or cannot: its name is too long. No other error proves absence. */
export const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '');
