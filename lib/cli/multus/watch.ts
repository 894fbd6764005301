import { type FSWatcher, watch } from 'node:fs';

/** Files are often written in several steps: what is said at once is looked at once. */
const SETTLE_MS = 50;
/** Somebody who undoes what we do, such as a network that takes away configurations of others, must not keep us busy. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

export interface Watching {
  readonly folders: () => readonly string[];
  /** Looks and repairs. @returns whether anything was changed */
  readonly look: () => Promise<boolean>;
  /** also without a change that the kernel tells of */
  readonly intervalMs: number;
  readonly signal: AbortSignal;
}

/** Looks whenever something changes in the folders, and now and then, until the signal fires. */
export async function watchFolders({ folders, look, intervalMs, signal }: Watching): Promise<void> {
  using bell = makeBell(signal);
  using watchers = makeWatchers(bell.ring);
  let repairs = 0;
  while (!signal.aborted) {
    watchers.watch(folders());
    bell.silence();
    repairs = (await look()) ? repairs + 1 : 0;
    if (repairs > 1) {
      await pause(Math.min(FIRST_PAUSE_MS * 2 ** (repairs - 2), LONGEST_PAUSE_MS), signal);
    }
    await bell.heard(intervalMs);
    await pause(SETTLE_MS, signal);
  }
}

/** Rings once, however often it is rung. */
function makeBell(signal: AbortSignal) {
  let isRung = false;
  let wake: (() => void) | undefined;
  const ring = (): void => {
    isRung = true;
    wake?.();
  };
  signal.addEventListener('abort', ring, { once: true });
  return {
    ring,
    silence: (): void => {
      isRung = signal.aborted;
    },
    heard: (mostMs: number): Promise<void> =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, mostMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (isRung) {
          wake();
        }
      }),
    [Symbol.dispose]: () => signal.removeEventListener('abort', ring),
  };
}

/** Watched anew for each look: a folder that was removed and made again is another one, if only its inode tells. */
function makeWatchers(ring: () => void) {
  let watchers: readonly FSWatcher[] = [];
  const close = (): void => {
    for (const watcher of watchers) {
      watcher.close();
    }
  };
  const open = (folder: string): readonly FSWatcher[] => {
    try {
      const watcher = watch(folder, ring);
      watcher.on('error', () => watcher.close());
      return [watcher];
    } catch {
      return []; // it is missing, or no inotify is left: the looks now and then have to do
    }
  };
  return {
    watch: (folders: readonly string[]): void => {
      const fresh = folders.flatMap(open);
      close();
      watchers = fresh;
    },
    [Symbol.dispose]: close,
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) {
      end();
    }
  });
