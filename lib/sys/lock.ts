import { closeSync, constants, fstatSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { constants as os } from 'node:os';
import { join } from 'node:path';
import { asCniError, CniError, CODES } from '../cni/errors.ts';
import { errnoError } from '../netlink/errno.ts';
import type { Native } from '../netns/native.ts';
import { ioError } from './io-error.ts';

const LOCK_EX = 2;
const LONGEST_PAUSE_MS = 16;

/** What waiting for a lock needs of the host. */
export interface LockHost {
  readonly native: Pick<Native, 'lock'>;
  sleep(ms: number): Promise<void>;
}

export interface LockOptions {
  readonly timeoutMs?: number;
  /** the file is removed when the lock is let go */
  readonly isTransient?: boolean;
}

/**
 * An exclusive lock on a file (flock), let go when disposed of or when the process ends, however it ends. It belongs to
 * the open file, so two calls inside one process exclude each other too.
 */
export class FileLock implements Disposable {
  private readonly fd: number;
  /** the file goes with the lock */
  private readonly transient: string | undefined;

  private constructor(fd: number, transient: string | undefined) {
    this.fd = fd;
    this.transient = transient;
  }

  /**
   * Waits for the lock without blocking the process, in short pauses of random length.
   *
   * @param path created when missing; its folder is not
   * @throws CniError tryAgainLater when another holder has kept it for `timeoutMs`; ioFailure when the file cannot be
   * opened or the file system has no locks
   */
  static async acquire(
    host: LockHost,
    path: string,
    { timeoutMs = 10_000, isTransient = false }: LockOptions = {},
  ): Promise<FileLock> {
    const deadline = performance.now() + timeoutMs;
    let fd = open(path);
    try {
      for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
        if (tryLock(host, fd, path)) {
          if (fstatSync(fd).nlink > 0) {
            return new FileLock(fd, isTransient ? path : undefined);
          }
          // The file was deleted while we waited: its lock excludes nobody who comes after us.
          closeSync(fd);
          fd = -1;
          fd = open(path);
          continue;
        }
        if (performance.now() >= deadline) {
          throw new CniError('tryAgainLater', `cannot lock "${path}": another call has held it for ${timeoutMs} ms`);
        }
        await host.sleep(Math.ceil(Math.random() * pauseMs));
      }
    } catch (error) {
      if (fd >= 0) {
        closeSync(fd);
      }
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.transient !== undefined) {
      removeQuietly(this.transient); // those who wait for it see that it is gone, and make another
    }
    closeSync(this.fd);
  }
}

/**
 * A lock for what only gives back: on a full or read-only disk there is none to be had, and a pod must be able to go.
 *
 * @throws CniError tryAgainLater
 */
export async function lockForRelease(
  log: (line: string) => void,
  acquire: () => Promise<FileLock>,
): Promise<FileLock | undefined> {
  try {
    return await acquire();
  } catch (error) {
    const { code, message } = asCniError(error);
    if (code !== CODES.ioFailure) {
      throw error;
    }
    log(`${message}: going on without a lock`);
    return undefined;
  }
}

/** Removes lock files that killed calls have left: those in the folder that nobody holds. Best effort. */
export function removeStaleLocks(host: Pick<LockHost, 'native'>, folder: string): void {
  for (const name of hiddenLocks(folder)) {
    try {
      const path = join(folder, name);
      const fd = openSync(path, constants.O_RDWR);
      try {
        if (host.native.lock(fd, LOCK_EX) >= 0) {
          unlinkSync(path);
        }
      } finally {
        closeSync(fd);
      }
    } catch {
      // another call was faster
    }
  }
}

function hiddenLocks(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => name.startsWith('.') && name.endsWith('.lock'));
  } catch {
    return [];
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // it stays, and locks the next time
  }
}

function open(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  } catch (error) {
    throw ioError('open lock file', path, error);
  }
}

function tryLock(host: LockHost, fd: number, path: string): boolean {
  const outcome = host.native.lock(fd, LOCK_EX);
  if (outcome >= 0) {
    return true;
  }
  if (-outcome === os.errno.EAGAIN || -outcome === os.errno.EINTR) {
    return false;
  }
  const refusal = errnoError(`lock "${path}"`, -outcome);
  throw new CniError('ioFailure', refusal.message, { cause: refusal });
}
