import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs';

/** Variables of an environment. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A program to run. */
export interface Execution {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env: Env;
  readonly stdin: Buffer;
  /** time limit; then the program is killed with all its children */
  readonly timeoutMs: number;
}

/** Its outcome. */
export interface Executed {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** A program was killed at its time limit. */
export class ExecutionTimeout extends Error {
  constructor(path: string, timeoutMs: number) {
    super(`"${path}" did not end within ${timeoutMs / 1000} s and was killed`);
    this.name = 'ExecutionTimeout';
  }
}

/**
 * Runs a program in its own process group; stdin is written and closed.
 *
 * @param signal kills it with all its children
 * @throws Error with the system's `code` when the program cannot be started; ExecutionTimeout; the signal's reason
 */
export async function execute(
  { path, args = [], env, stdin, timeoutMs }: Execution,
  signal?: AbortSignal,
): Promise<Executed> {
  signal?.throwIfAborted();
  refuseUnknownFormat(path);
  const { spawn } = await import('node:child_process');
  const child = spawn(path, args, { env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const [stdout, stderr] = [chunksOf(child.stdout), chunksOf(child.stderr)];
  child.stdin.on('error', () => undefined); // a program may ignore its input
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    const giveUp = (reason: unknown): void => {
      killGroup(child.pid);
      for (const stream of [child.stdin, child.stdout, child.stderr]) {
        stream.destroy(); // processes that left the group may keep them open
      }
      reject(reason);
    };
    const timer = setTimeout(() => giveUp(new ExecutionTimeout(path, timeoutMs)), timeoutMs);
    const abort = (): void => giveUp(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    child.on('error', (error) => {
      end();
      reject(error);
    });
    child.on('close', (exitCode, ending) => {
      end();
      resolve({
        exitCode: exitCode ?? undefined,
        signal: ending ?? undefined,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr),
      });
    });
  });
}

function chunksOf(stream: NodeJS.ReadableStream): readonly Buffer[] {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}

function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) {
      process.kill(-leader, 'SIGKILL');
    }
  } catch {
    // all have ended
  }
}

/** For a file of unknown format Node would start a shell; no other runtime does. */
function refuseUnknownFormat(path: string): void {
  const head = Buffer.alloc(4);
  let fd: number;
  try {
    accessSync(path, constants.X_OK);
    fd = openSync(path, 'r');
  } catch {
    return; // starting it reports why
  }
  try {
    readSync(fd, head);
  } finally {
    closeSync(fd);
  }
  if (head.toString('latin1') !== '\x7fELF' && head.toString('latin1', 0, 2) !== '#!') {
    throw Object.assign(new Error('ENOEXEC (exec format error)'), { code: 'ENOEXEC' });
  }
}
