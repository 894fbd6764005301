import { closeSync, constants, fstatSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { constants as os } from 'node:os';
import { join } from 'node:path';
import { asCniError, CniError, CODES } from '../cni/errors.ts';
import { errnoError } from '../netlink/errno.ts';
import type { Native } from '../netns/native.ts';
import type { Clock } from './clock.ts';
import { ioError } from './io-error.ts';
import type { KeyedMutex } from './keyed-mutex.ts';

const LOCK_EX = 2;
const LONGEST_PAUSE_MS = 16;

/** Who waits for a lock: a call, and the process that it shares with others. */
export interface LockUser extends Clock {
  readonly node: { readonly native: Pick<Native, 'lock'>; readonly locks: KeyedMutex };
  readonly signal: AbortSignal;
}

export interface LockOptions {
  readonly timeoutMs?: number;
  /** the file is removed when the lock is let go */
  readonly isTransient?: boolean;
}

/**
 * An exclusive lock on a file (flock), let go when disposed of or when the process ends, however it ends. Calls inside one
 * process wait in a queue in front of it, first come first served; between processes there is no order.
 */
export class FileLock implements Disposable {
  private readonly fd: number;
  private readonly turn: Disposable;
  /** the file goes with the lock */
  private readonly transient: string | undefined;

  private constructor(fd: number, turn: Disposable, transient: string | undefined) {
    this.fd = fd;
    this.turn = turn;
    this.transient = transient;
  }

  /**
   * Waits for the lock without blocking the process, in short pauses of random length.
   *
   * @param path created when missing; its folder is not
   * @throws CniError tryAgainLater when another holder has kept it for `timeoutMs`; ioFailure when the file cannot be
   * opened or the file system has no locks; the signal's reason
   */
  static async acquire(
    user: LockUser,
    path: string,
    { timeoutMs = 10_000, isTransient = false }: LockOptions = {},
  ): Promise<FileLock> {
    const deadline = user.now() + timeoutMs;
    const held = (): CniError =>
      new CniError('tryAgainLater', `cannot lock "${path}": another call has held it for ${timeoutMs} ms`);
    const turn = await turnFor(user, path, timeoutMs, held);
    let fd = -1;
    try {
      fd = open(path);
      for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
        if (tryLock(user, fd, path)) {
          if (fstatSync(fd).nlink > 0) {
            return new FileLock(fd, turn, isTransient ? path : undefined);
          }
          // The file was deleted while we waited: its lock excludes nobody who comes after us.
          closeSync(fd);
          fd = -1;
          fd = open(path);
          continue;
        }
        if (user.now() >= deadline) {
          throw held();
        }
        await user.sleep(Math.ceil(Math.random() * pauseMs));
      }
    } catch (error) {
      if (fd >= 0) {
        closeSync(fd);
      }
      turn[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.transient !== undefined) {
      removeQuietly(this.transient); // those who wait for it see that it is gone, and make another
    }
    closeSync(this.fd);
    this.turn[Symbol.dispose]();
  }
}

/** The process's own queue in front of the file's lock: no two of its calls ever poll for the same one. */
async function turnFor(
  { node, signal }: LockUser,
  path: string,
  timeoutMs: number,
  held: () => CniError,
): Promise<Disposable> {
  const free = node.locks.tryAcquire(path);
  if (free !== undefined) {
    return free;
  }
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(held()), timeoutMs);
  try {
    return await node.locks.acquire(path, AbortSignal.any([signal, late.signal]));
  } finally {
    clearTimeout(timer);
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
export function removeStaleLocks({ node }: Pick<LockUser, 'node'>, folder: string): void {
  for (const name of hiddenLocks(folder)) {
    try {
      const path = join(folder, name);
      const fd = openSync(path, constants.O_RDWR);
      try {
        if (node.native.lock(fd, LOCK_EX) >= 0) {
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

function tryLock({ node }: LockUser, fd: number, path: string): boolean {
  const outcome = node.native.lock(fd, LOCK_EX);
  if (outcome >= 0) {
    return true;
  }
  if (-outcome === os.errno.EAGAIN || -outcome === os.errno.EINTR) {
    return false;
  }
  const refusal = errnoError(`lock "${path}"`, -outcome);
  throw new CniError('ioFailure', refusal.message, { cause: refusal });
}
