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

/** Where a server runs, if not here. */
export interface Elsewhere {
  /** words that start a program there */
  readonly enter: readonly string[];
  /** whether these start it as a child of theirs, which a namespace of processes needs */
  readonly forks: boolean;
}

/** Starts one in a folder, where it also logs. */
export function startProcess(
  program: string,
  args: readonly string[],
  folder: string,
  { enter, forks }: Elsewhere = { enter: [], forks: false },
): ServerProcess {
  const name = basename(program);
  const log = join(folder, `${name}.log`);
  const fd = openSync(log, 'a');
  // The kernel ends it with the tests: a test that is killed cleans up nothing.
  const mortal = ['setpriv', '--pdeathsig', 'KILL'];
  const [, ...words] = [...mortal, ...enter, ...(forks ? mortal : []), program, ...args];
  const child = spawn('setpriv', words, {
    cwd: folder,
    stdio: ['ignore', fd, fd],
  });
  closeSync(fd);
  const { pid } = child;
  if (pid === undefined) {
    throw new Error(`cannot start ${name}: is there setpriv of util-linux`);
  }
  const signal = (name: NodeJS.Signals): void => send(name, child, forks);
  return {
    pid,
    hasEnded: () => hasEnded(child),
    lastWords: () => readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LAST_LINES).join('\n'),
    stop: async () => {
      const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS); // an open watch holds an API server back
      await end(child, () => signal('SIGTERM'));
      clearTimeout(timer);
    },
    kill: () => end(child, () => child.kill('SIGKILL')),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
  };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

async function end(child: ChildProcess, signal: () => void): Promise<void> {
  if (!hasEnded(child)) {
    const ended = once(child, 'exit');
    signal();
    await ended;
  }
}

/** To the server itself, which may be a child of what was started. */
function send(name: NodeJS.Signals, child: ChildProcess, forks: boolean): void {
  const [inner] = forks ? readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ') : [];
  if (inner === undefined || inner === '') {
    child.kill(name);
  } else {
    process.kill(Number(inner), name);
  }
}
