import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs';
import type { Env, Executed } from '../cni/plugin.ts';

/**
 * Runs a program to its end, stdin written and closed.
 *
 * @throws Error with the system's `code` when the program cannot be started
 */
export async function execute(path: string, env: Env, stdin: Buffer): Promise<Executed> {
  refuseUnknownFormat(path);
  const { spawn } = await import('node:child_process');
  const child = spawn(path, [], { env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined); // a program need not read its input
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      resolve({
        exitCode: exitCode ?? undefined,
        signal: signal ?? undefined,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr),
      });
    });
  });
}

/** Where the kernel does not know a file's format, Node would let a shell interpret it; no other runtime does. */
function refuseUnknownFormat(path: string): void {
  const head = Buffer.alloc(4);
  let fd: number;
  try {
    accessSync(path, constants.X_OK);
    fd = openSync(path, 'r');
  } catch {
    return; // starting it says why
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
