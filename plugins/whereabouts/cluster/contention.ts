import { closeSync, futimesSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A storm of pods lasts longer than one of them. */
const RECENT_MS = 10_000;

/** What the calls of a node know of each other: a file whose time says when many were last after the same addresses. */
export const contentionIn = (folder: string, wallClock: () => number = Date.now) => {
  const path = join(folder, 'contended');
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
export const NO_CONTENTION = { isRecent: () => false, remember: () => undefined };
