import { closeSync, openSync } from 'node:fs';
import { CniError } from '../cni/errors.ts';
import type { Scope } from '../cni/scope.ts';
import { ioError } from '../sys/io-error.ts';

const LOCK_EX = 2;

/**
 * Locks the folder itself (flock), which leaves no lock file.
 *
 * @throws CniError tryAgainLater when another process has it
 */
export function lockFolder(scope: Scope, folder: string): Disposable {
  let fd: number;
  try {
    fd = openSync(folder, 'r');
  } catch (error) {
    throw ioError('open folder', folder, error);
  }
  if (scope.node.native.lock(fd, LOCK_EX) < 0) {
    closeSync(fd);
    throw new CniError('tryAgainLater', `cannot change "${folder}": another braid is changing it`);
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}
