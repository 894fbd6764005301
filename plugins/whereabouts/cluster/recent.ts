import { closeSync, futimesSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A storm of pods lasts longer than one of them. */
const RECENT_MS = 10_000;

/** Whether something was so a moment ago. */
export interface Recent {
  isRecent(): boolean;
  remember(): void;
}

/**
 * What the calls of a node have seen lately, and the next ones should know.
 *
 * `contended`: many are after the same addresses; `slow`: changes of a pool take long; `silent`: the server does not answer;
 * `go`: the Go plugin changes pools too
 */
export type Recents = (what: 'contended' | 'slow' | 'silent' | 'go') => Recent;

/** A file for each, whose time says when it was last so. */
export const recentsIn =
  (folder: string, wallClock?: () => number): Recents =>
  (what) =>
    recentIn(join(folder, what), wallClock);

function recentIn(path: string, wallClock: () => number = Date.now): Recent {
  return {
    isRecent: (): boolean => {
      try {
        return Math.abs(wallClock() - statSync(path).mtimeMs) < RECENT_MS;
      } catch {
        return false;
      }
    },
    remember: (): void => {
      try {
        const fd = openSync(path, 'a', 0o600);
        try {
          futimesSync(fd, wallClock() / 1000, wallClock() / 1000);
        } finally {
          closeSync(fd);
        }
      } catch {
        // it only helps
      }
    },
  };
}

/** Remembers nothing. */
export const NOTHING_RECENT: Recents = () => ({ isRecent: () => false, remember: () => undefined });
