import { closeSync, futimesSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A storm of pods lasts longer than one of them. */
const RECENT_MS = 10_000;

/** What the calls of a node have seen lately, and the next ones should know. */
export interface Recent {
  isRecent(): boolean;
  remember(): void;
}

/**
 * Files whose times say when something was last so.
 *
 * `contended`: many are after the same addresses; `slow`: changes of a pool take long
 */
export const recentIn = (folder: string, what: 'contended' | 'slow', wallClock: () => number = Date.now): Recent => {
  const path = join(folder, what);
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
};

/** Remembers nothing. */
export const NOTHING_RECENT: Recent = { isRecent: () => false, remember: () => undefined };
