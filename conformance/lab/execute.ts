/** Running programs to their end. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

export type Env = Readonly<Record<string, string>>;

export interface Outcome {
  /** undefined when a signal ended the program */
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Execution {
  /** the whole environment: nothing is inherited */
  readonly env?: Env;
  readonly stdin?: string | Buffer;
  readonly cwd?: string;
  /** SIGKILL after so many milliseconds, which is part of a scenario, not a time limit */
  readonly killAfterMs?: number;
  /** gets what kills it, as soon as it runs */
  readonly onStart?: (kill: () => void) => void;
}

/** What programs of the system need. */
export const BASE_ENV: Env = { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** Runs a program to its end, whatever its exit code. */
export function execute(
  argv: readonly string[],
  { env, stdin, cwd, killAfterMs, onStart }: Execution = {},
): Promise<Outcome> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: env ?? BASE_ENV, ...(cwd === undefined ? {} : { cwd }), stdio: 'pipe' });
    onStart?.(() => child.kill('SIGKILL'));
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    child.stdout.on('data', (chunk: Buffer) => output.stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => output.stderr.push(chunk));
    child.stdin.on('error', () => undefined); // a program need not read it
    child.stdin.end(stdin ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({
        exitCode: code ?? undefined,
        signal: signal ?? undefined,
        stdout: Buffer.concat(output.stdout).toString('utf8'),
        stderr: Buffer.concat(output.stderr).toString('utf8'),
      }),
    );
    if (killAfterMs !== undefined) {
      void sleep(killAfterMs).then(() => child.kill('SIGKILL'));
    }
  });
}

/**
 * Runs a program that must succeed.
 *
 * @returns its stdout
 * @throws Error with what it said on stderr
 */
export async function mustRun(argv: readonly string[], execution: Execution = {}): Promise<string> {
  const { exitCode, signal, stdout, stderr } = await execute(argv, execution);
  if (exitCode !== 0) {
    throw new Error(`${argv.join(' ')}: exit ${exitCode ?? signal}: ${stderr || stdout}`);
  }
  return stdout;
}

/** Runs so many pieces of work at the same time, in order. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}
