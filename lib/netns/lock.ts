import { FileLock, type LockUser } from '../sys/lock.ts';
import type { Netns } from './netns.ts';

/**
 * Locks a network namespace itself: calls of this process queue, and other programs that lock it wait, through whatever
 * path they came to it. The Go plugin `sbr` does. Nothing is created anywhere.
 *
 * @param netns stays open as long as the lock is held
 * @throws CniError tryAgainLater when somebody has held it for too long
 */
export const lockNetns = (user: LockUser, netns: Netns): Promise<FileLock> =>
  FileLock.acquire(user, `/proc/self/fd/${netns.descriptor}`, { existing: netns.path });
