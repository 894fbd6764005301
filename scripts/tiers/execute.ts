import { type ChildProcess, spawn } from 'node:child_process';

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** both, in order of arrival */
  readonly output: string;
}

export interface Execution {
  /** also show the output at once: all of it, or only stderr */
  readonly shows?: 'all' | 'stderr' | undefined;
  /** more variables */
  readonly env?: Readonly<Record<string, string>>;
}

const ROOT = new URL('../..', import.meta.url).pathname;

/** Their output is passed on, so this program's terminal decides. */
const COLOUR = process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1', FORCE_COLOR: undefined };

const running = new Set<ChildProcess>();

/** Runs a program in the project root. */
export function execute(argv: readonly string[], { shows, env }: Execution = {}): Promise<Ended> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...COLOUR, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const chunks: { readonly from: 'stdout' | 'stderr'; readonly bytes: Buffer }[] = [];
  for (const from of ['stdout', 'stderr'] as const) {
    child[from].on('data', (bytes: Buffer) => {
      chunks.push({ from, bytes });
      if (shows === 'all' || shows === from) {
        process.stderr.write(bytes);
      }
    });
  }
  const textOf = (...wanted: readonly string[]): string =>
    Buffer.concat(chunks.filter(({ from }) => wanted.includes(from)).map(({ bytes }) => bytes)).toString('utf8');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      running.delete(child);
      resolve({
        exitCode: exitCode ?? 1,
        stdout: textOf('stdout'),
        stderr: textOf('stderr'),
        output: `${textOf('stdout', 'stderr')}${signal === null ? '' : `ended by ${signal}\n`}`,
      });
    });
  });
}

/** Passes a signal on to the running programs. */
export function interrupt(signal: NodeJS.Signals): void {
  for (const child of running) {
    child.kill(signal);
  }
}
