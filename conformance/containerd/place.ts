/** Namespaces that a first process holds. All that runs in them ends with it, and it ends with the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Env } from '../lab/execute.ts';
import { GiveUp, until } from './poll.ts';

export interface PlaceWanted {
  /** words that start unshare elsewhere */
  readonly within?: readonly string[];
  /** which namespaces, besides that of processes */
  readonly unshare: readonly string[];
  /** the first process */
  readonly init: readonly string[];
  readonly env: Env;
  /** a file for what it writes */
  readonly log: string;
}

const alive = new Set<ChildProcess>();

export class Place {
  /** of the first process, as it is known here */
  readonly pid: string;
  private readonly child: ChildProcess;
  private readonly log: string;

  private constructor(child: ChildProcess, pid: string, log: string) {
    this.child = child;
    this.pid = pid;
    this.log = log;
  }

  /** @throws Error with the end of the log when the first process does not come */
  static async start({ within = [], unshare, init, env, log }: PlaceWanted): Promise<Place> {
    const fd = openSync(log, 'a');
    const argv = [
      ...['setpriv', '--pdeathsig', 'KILL'], // so that it ends with this process, however this ends
      ...within,
      ...['unshare', ...unshare, '--pid', '--fork', '--kill-child=KILL'],
      ...init,
    ];
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { env, stdio: ['ignore', fd, fd] });
    closeSync(fd);
    alive.add(child);
    const pid = await until('the first process of a place', () => {
      demandAlive(child, log);
      return childrenOf(child.pid)[0];
    });
    return new Place(child, pid, log);
  }

  /** @throws GiveUp when the first process has ended */
  demandAlive(): void {
    demandAlive(this.child, this.log);
  }

  /** Processes that the first one has started. */
  children(): readonly string[] {
    return childrenOf(this.pid);
  }

  /** Kills everything in it. */
  async end(): Promise<void> {
    this.child.kill('SIGKILL'); // unshare; the kernel then kills the first process, and with it all others
    await until('a place to end', () => (isAlive(this.pid) ? undefined : true));
    alive.delete(this.child);
  }
}

export const childrenOf = (pid: number | string | undefined): readonly string[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((word) => word !== '');

function demandAlive({ exitCode, signalCode }: ChildProcess, log: string): void {
  if (exitCode !== null || signalCode !== null) {
    throw new GiveUp(
      `the first process has ended (${exitCode ?? signalCode}): ${readFileSync(log, 'utf8').slice(-2000)}`,
    );
  }
}

function isAlive(pid: string): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

// before the lab takes its folder away
process.prependListener('exit', () => {
  for (const child of alive) {
    child.kill('SIGKILL');
  }
});
