import { closeSync, constants, fstatSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { constants as os } from 'node:os';
import { join } from 'node:path';
import { asCniError, CniError, CODES, messageOf } from '../cni/errors.ts';
import { errnoError } from '../netlink/errno.ts';
import type { Native } from '../netns/native.ts';
import type { Clock } from './clock.ts';
import { ioError } from './io-error.ts';
import type { KeyedMutex } from './keyed-mutex.ts';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LONGEST_PAUSE_MS = 16;

/** A call that waits for a lock, and its process. */
export interface LockUser extends Clock {
  readonly node: { readonly native: Pick<Native, 'lock'>; readonly locks: KeyedMutex };
  readonly signal: AbortSignal;
  /** Measures a part of the call. */
  span<T>(name: string, work: () => Promise<T>): Promise<T>;
}

export interface LockOptions {
  readonly timeoutMs?: number;
  /** the file is removed on release */
  readonly isTransient?: boolean;
  /** held together with others who share it */
  readonly isShared?: boolean;
  /** not a file for locks, but something that is there and is not created: how messages name it */
  readonly existing?: string;
}

/** What a lock holds beside the file. */
interface Held {
  /** of the process's queue: who shares has none */
  readonly turn: Disposable | undefined;
  /** removes the file on release */
  readonly remove?: (fd: number) => void;
}

/**
 * A lock on a file (flock), released by disposal or when the process ends: exclusive unless it is shared. Calls in one
 * process queue in front of an exclusive one, first come first served; between processes there is no order.
 */
export class FileLock implements Disposable {
  private readonly fd: number;
  private readonly held: Held;

  private constructor(fd: number, held: Held) {
    this.fd = fd;
    this.held = held;
  }

  /**
   * Waits for the lock without blocking the process, with short random pauses.
   *
   * @param path created when missing, unless it is existing; its folder is not
   * @throws CniError tryAgainLater when it was held for `timeoutMs`; ioFailure when the file cannot be opened or the
   * file system has no locks; the signal's reason
   */
  static acquire(user: LockUser, path: string, options: LockOptions = {}): Promise<FileLock> {
    return user.span('lock', () => FileLock.wait(user, path, options));
  }

  /**
   * @returns undefined when another call holds it
   * @throws CniError ioFailure
   */
  static tryAcquire({ node }: Pick<LockUser, 'node'>, path: string): FileLock | undefined {
    const turn = node.locks.tryAcquire(path);
    if (turn === undefined) {
      return undefined;
    }
    let fd = -1;
    let isHeld = false;
    try {
      fd = open(path);
      isHeld = tryLock(node.native, fd, path) && fstatSync(fd).nlink > 0;
      return isHeld ? new FileLock(fd, { turn }) : undefined;
    } finally {
      if (!isHeld) {
        if (fd >= 0) {
          closeSync(fd);
        }
        turn[Symbol.dispose]();
      }
    }
  }

  private static async wait(
    user: LockUser,
    path: string,
    { timeoutMs = 10_000, isTransient = false, isShared = false, existing }: LockOptions,
  ): Promise<FileLock> {
    const { native } = user.node;
    const deadline = user.now() + timeoutMs;
    const held = (): CniError =>
      new CniError('tryAgainLater', `cannot lock "${existing ?? path}": another call has held it for ${timeoutMs} ms`);
    const turn = isShared ? undefined : await acquireTurn(user, path, timeoutMs, held);
    let fd = -1;
    try {
      fd = open(path, existing);
      for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
        if (tryLock(native, fd, path, isShared ? LOCK_SH : LOCK_EX)) {
          if (fstatSync(fd).nlink > 0) {
            return new FileLock(fd, isTransient ? { turn, remove: removal(native, path, isShared) } : { turn });
          }
          // The file was deleted while we waited: its lock excludes no later caller.
          closeSync(fd);
          fd = -1;
          fd = open(path, existing);
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
      turn?.[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.held.remove?.(this.fd);
    closeSync(this.fd);
    this.held.turn?.[Symbol.dispose]();
  }
}

/** Waiters see that the file is gone, and create another. The last of those who share it removes it. */
const removal = (native: Pick<Native, 'lock'>, path: string, isShared: boolean) => (fd: number) => {
  if (!isShared || native.lock(fd, LOCK_EX) >= 0) {
    removeQuietly(path);
  }
};

/** The process's queue in front of the file lock: only one of its calls polls for it at a time. */
async function acquireTurn(
  { node, signal }: LockUser,
  path: string,
  timeoutMs: number,
  held: () => CniError,
): Promise<Disposable> {
  const free = node.locks.tryAcquire(path);
  if (free !== undefined) {
    return free;
  }
  signal.throwIfAborted();
  const ending = new AbortController(); // AbortSignal.any leaves what V8 cannot put into a snapshot
  const end = (): void => ending.abort(signal.reason);
  const timer = setTimeout(() => ending.abort(held()), timeoutMs);
  signal.addEventListener('abort', end);
  try {
    return await node.locks.acquire(path, ending.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

/**
 * A lock for releases only: a full or read-only disk has none, and pod deletion must not hang.
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
    log(`${message}: continuing without a lock`);
    return undefined;
  }
}

/** Removes stale lock files of killed calls: those that are not held. Best effort. */
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
      // another call did it
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
    // it stays, and is reused
  }
}

function open(path: string, existing?: string): number {
  try {
    return openSync(path, existing !== undefined ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT, 0o600);
  } catch (error) {
    throw existing === undefined ? ioError('open lock file', path, error) : ioError('open', existing, error);
  }
}

/**
 * What the kernel says when a file is to be locked that it has no locks for.
 *
 * @returns undefined when it has, whoever holds it
 */
export function lockErrorOf(native: Pick<Native, 'lock'>, path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR);
  } catch {
    return undefined; // that says nothing about locks
  }
  try {
    tryLock(native, fd, path);
    return undefined;
  } catch (error) {
    return messageOf(error);
  } finally {
    closeSync(fd);
  }
}

function tryLock(native: Pick<Native, 'lock'>, fd: number, path: string, operation = LOCK_EX): boolean {
  const outcome = native.lock(fd, operation);
  if (outcome >= 0) {
    return true;
  }
  if (-outcome === os.errno.EAGAIN || -outcome === os.errno.EINTR) {
    return false;
  }
  const refusal = errnoError(`lock "${path}"`, -outcome);
  throw new CniError('ioFailure', refusal.message, { cause: refusal });
}
