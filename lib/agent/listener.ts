import { chmodSync, closeSync, lstatSync, renameSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoError } from '../netlink/errno.ts';
import type { Native } from '../netns/native.ts';
import { makeFolder } from '../sys/atomic-file.ts';
import type { Env } from '../sys/execute.ts';

/** A socket that callers find. */
export interface Listener extends Disposable {
  readonly fd: number;
  /** Somebody else keeps it open: callers who are not accepted yet wait for the next agent. */
  readonly outlivesUs: boolean;
  /** Whether callers still come here: the path may lead to another agent, or nowhere. */
  whereabouts(): 'here' | 'replaced' | 'gone';
  /** No new caller finds it: those who have connected already can still be accepted. */
  withdraw(): void;
}

/** How often it is looked whether a socket is still there. */
export const LOOK_MS = 2000;

/** Callers that have connected and are not accepted yet; more wait before they connect. */
const BACKLOG = 4096;

/** systemd passes descriptors from here on: sd_listen_fds(3). */
const FIRST_PASSED = 3;

/**
 * Listens at a path, in the place of whoever has listened there: a caller finds one or the other. Only root gets in.
 *
 * @throws Error when the folder is others' too, or cannot be used
 */
export function listenAt(native: Native, path: string): Listener {
  makeFolder(dirname(path), { mode: 0o700, sync: false });
  refuseOpenFolder(dirname(path), lstatSync(dirname(path)));
  const unfinished = `${path}.new`;
  remove(unfinished);
  const fd = native.listenAt(unfinished, BACKLOG);
  if (fd < 0) {
    throw errnoError(`listen at "${path}"`, -fd);
  }
  chmodSync(unfinished, 0o600);
  const own = statSync(unfinished);
  renameSync(unfinished, path);
  const whereabouts = (): ReturnType<Listener['whereabouts']> => {
    const there = statSync(path, { throwIfNoEntry: false });
    return there === undefined ? 'gone' : there.ino === own.ino && there.dev === own.dev ? 'here' : 'replaced';
  };
  return {
    fd,
    outlivesUs: false,
    whereabouts,
    withdraw: () => {
      if (whereabouts() === 'here') {
        remove(path);
      }
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** The socket that systemd has opened for this process; undefined when there is none. */
export function passedListener(env: Env, pid: number): Listener | undefined {
  const isPassed = env['LISTEN_PID'] === String(pid) && Number(env['LISTEN_FDS']) >= 1;
  if (!isPassed) {
    return undefined;
  }
  const nothing = (): void => undefined;
  return {
    fd: FIRST_PASSED,
    outlivesUs: true,
    whereabouts: () => 'here',
    withdraw: nothing,
    [Symbol.dispose]: nothing,
  };
}

function refuseOpenFolder(path: string, { uid, mode }: Stats): void {
  const own = statSync('/proc/self').uid;
  if (uid !== own || (mode & 0o077) !== 0) {
    throw new Error(`cannot listen in "${path}": others may enter it: "chmod 700 ${path}" as its owner`);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw error;
    }
  }
}
