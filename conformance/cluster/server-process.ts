import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const GRACE_MS = 5_000;
const LAST_LINES = 5;

/** A server that runs until it is stopped, or until the tests end in whatever way. */
export interface ServerProcess {
  readonly pid: number;
  readonly hasEnded: () => boolean;
  /** the end of what it has logged */
  readonly lastWords: () => string;
  /** Ends it as a system does, and in the end by force. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): Promise<void>;
  /** Lets it stand still, as on a node that is far too busy. */
  pause(): void;
  resume(): void;
}

/** Starts one in a folder, where it also logs. */
export function startProcess(program: string, args: readonly string[], folder: string): ServerProcess {
  const name = basename(program);
  const log = join(folder, `${name}.log`);
  const fd = openSync(log, 'a');
  // The kernel ends it with the tests: a test that is killed cleans up nothing.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
    cwd: folder,
    stdio: ['ignore', fd, fd],
  });
  closeSync(fd);
  const { pid } = child;
  if (pid === undefined) {
    throw new Error(`cannot start ${name}: is there setpriv of util-linux`);
  }
  return {
    pid,
    hasEnded: () => hasEnded(child),
    lastWords: () => readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LAST_LINES).join('\n'),
    stop: async () => {
      const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS); // an open watch holds an API server back
      await end(child, 'SIGTERM');
      clearTimeout(timer);
    },
    kill: () => end(child, 'SIGKILL'),
    pause: () => {
      child.kill('SIGSTOP');
    },
    resume: () => {
      child.kill('SIGCONT');
    },
  };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!hasEnded(child)) {
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}
