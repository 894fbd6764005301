import { constants } from 'node:os';

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** Go's texts, which log scrapers and runtimes match; others fall back to the name. */
const TEXTS: Readonly<Record<string, string>> = {
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EEXIST: 'file exists',
  EBUSY: 'device or resource busy',
  EINVAL: 'invalid argument',
  ENODEV: 'no such device',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
  EOPNOTSUPP: 'operation not supported',
  ENOTSUP: 'operation not supported',
  ERANGE: 'numerical result out of range',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  ENETUNREACH: 'network is unreachable',
  ENETDOWN: 'network is down',
  EMSGSIZE: 'message too long',
  ENOBUFS: 'no buffer space available',
  EPROTONOSUPPORT: 'protocol not supported',
  ESRCH: 'no such process',
  ETIMEDOUT: 'connection timed out',
  ENOMEM: 'cannot allocate memory',
};

/** An operation that the kernel refused. */
export class ErrnoError extends Error {
  readonly errno: number;
  /** `EEXIST` */
  readonly code: string;

  constructor(operation: string, errno: number, explanation?: string) {
    const code = NAMES.get(errno) ?? `errno ${errno}`;
    const text = TEXTS[code] ?? 'refused by the kernel';
    super(`cannot ${operation}: ${code} (${text})${explanation === undefined ? '' : `: ${explanation}`}`);
    this.name = 'ErrnoError';
    this.errno = errno;
    this.code = code;
  }
}

/** The kernel got the request and may have done it, but no answer arrived. */
export class NoAnswer extends ErrnoError {
  constructor(operation: string, errno: number) {
    super(`${operation} (no answer from the kernel)`, errno);
    this.name = 'NoAnswer';
  }
}

/** @param explanation the kernel's own message, if any */
export const errnoError = (operation: string, errno: number, explanation?: string): ErrnoError =>
  new ErrnoError(operation, errno, explanation);

export const hasErrno = (error: unknown, ...codes: readonly string[]): boolean =>
  codes.includes((error as { code?: string } | undefined)?.code ?? '');
