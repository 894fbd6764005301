import { closeSync, openSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Native } from '../netns/native.ts';
import { makeFolder } from '../sys/atomic-file.ts';
import type { Env } from '../sys/execute.ts';

const LOCK_EX = 2;

/** Larger ones are begun anew: /run is memory. */
const MOST_LOG_BYTES = 1 << 20;

/** What a call that no agent has taken is served by. */
export interface Caller {
  readonly native: Native;
  /** this program's own path */
  readonly path: string;
  /** with BRAID_AGENT, where the launcher has looked for an agent */
  readonly env: Env;
  /** where launchers look by default */
  readonly socket: string;
}

/**
 * Starts an agent for the calls after this one, where install says so (`on-demand` beside this program). It ends after a
 * time without calls.
 *
 * One at a time: it holds a lock on the folder of its socket as long as it lives, from before its first instruction on.
 * Who finds the lock taken leaves it at that. A call in a network namespace that is not the first process's starts none:
 * somebody tries a plugin out there, and the node's other calls would be served in that namespace.
 *
 * @returns whether it has started one
 * @throws CniError ioFailure, or the system's error
 */
export async function startAgentOnDemand({ native, path, env, socket: usual }: Caller): Promise<boolean> {
  const seconds = secondsBeside(path);
  const socket = (env['BRAID_AGENT'] ?? '') || usual;
  if (seconds === undefined || socket === 'none' || !isCall(env['CNI_COMMAND']) || !isAtHome()) {
    return false;
  }
  const folder = dirname(socket);
  makeFolder(folder, { mode: 0o700, sync: false });
  const lock = openSync(folder, 'r');
  try {
    if (native.lock(lock, LOCK_EX) < 0) {
      return false;
    }
    await spawnAgent(path, ['agent', '--socket', socket, '--idle', String(seconds)], { env, folder, lock });
    return true;
  } finally {
    closeSync(lock); // the agent has it too
  }
}

/** undefined when this program is not beside launchers, or they start no agent. */
function secondsBeside(path: string): number | undefined {
  if (basename(path) !== 'standalone') {
    return undefined;
  }
  try {
    const seconds = Number.parseInt(readFileSync(join(dirname(path), 'on-demand'), 'latin1'), 10);
    return seconds > 0 ? seconds : undefined;
  } catch {
    return undefined;
  }
}

const isCall = (verb: string | undefined): boolean => ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'].includes(verb ?? '');

function isAtHome(): boolean {
  try {
    return readlinkSync('/proc/self/ns/net') === readlinkSync('/proc/1/ns/net');
  } catch {
    return false;
  }
}

interface Start {
  readonly env: Env;
  readonly folder: string;
  readonly lock: number;
}

/** It has nothing of its caller: whoever reads to the end of the caller's stderr would wait for the agent's end. */
async function spawnAgent(path: string, args: readonly string[], { env, folder, lock }: Start): Promise<void> {
  const { spawn } = await import('node:child_process');
  const log = openLog(join(folder, 'agent.log'));
  try {
    const child = spawn(path, args, {
      argv0: 'braid',
      cwd: '/',
      detached: true,
      env: { PATH: env['PATH'] },
      stdio: ['ignore', 'ignore', log, lock],
    });
    await new Promise((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
  } finally {
    closeSync(log);
  }
}

function openLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return openSync(path, size > MOST_LOG_BYTES ? 'w' : 'a', 0o600);
}
