/** Standard streams as runtimes and people have them: shell around the call of a program. */
import type { Outcome } from './execute.ts';

/** Makes a descriptor of what it starts non-blocking: nothing in a shell does. */
const NON_BLOCKING = `
import fcntl, os, sys
fd = int(sys.argv[1])
fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
os.execv(sys.argv[2], sys.argv[2:])`;
const nonBlocking = (fd: number, program: string): string => `python3 -c '${NON_BLOCKING}' ${fd} ${program}`;

/** The document comes in two parts, late, through a pipe that does not block. */
export const late = (document: string, program: string): string =>
  `(sleep 0.3; printf '%s' '${document.slice(0, 20)}'; sleep 0.1; printf '%s' '${document.slice(20)}') |` +
  ` ${nonBlocking(0, program)}`;

const FILL =
  'import os; os.set_blocking(1, False)\ntry:\n while True: os.write(1, b"." * 4096)\nexcept BlockingIOError: pass';

/** stdout is a full pipe that does not block and is read after some seconds. On stderr: seconds of the processor. */
const intoFullPipe = (program: string, waitS: number): string =>
  `{ python3 -c '${FILL}'; TIMEFORMAT='%U %S'; time ${nonBlocking(1, program)}; } | (sleep ${waitS}; tr -d '.')`;

const WAIT_S = 3;

/**
 * Has a program print into such a pipe.
 *
 * @param shell runs a script of bash
 * @returns what it has printed, and for which part of the wait it has used the processor, whatever it needs without one
 */
export async function waitingForReader(
  shell: (script: string) => Promise<Outcome>,
  program: string,
): Promise<{ readonly stdout: string; readonly busy: number }> {
  const usual = await shell(intoFullPipe(program, 0));
  const { stdout, stderr } = await shell(intoFullPipe(program, WAIT_S));
  return { stdout, busy: (secondsIn(stderr) - secondsIn(usual.stderr)) / WAIT_S };
}

const secondsIn = (stderr: string): number =>
  stderr
    .trim()
    .split(' ')
    .reduce((sum, part) => sum + Number(part), 0);

/** stdout that takes nothing, and what must be said of it. */
export const DEAF = [
  { what: 'a full disk', to: '/dev/full', says: /^cannot write "standard output": ENOSPC \(.*\)\n$/ },
  { what: 'a pipe that is closed', to: '>(exec true)', says: /^cannot write "standard output": EPIPE \(.*\)\n$/ },
] as const;

export const printingTo = (to: string, program: string): string =>
  `exec 9> ${to}; ${to.startsWith('/') ? '' : 'wait $!; '}exec ${program} >&9`;

/** stderr that takes nothing. `$0` is a folder. */
export const LOGS = [
  { what: 'a full disk', script: (call: string) => `${call} 2> /dev/full` },
  { what: 'nothing', script: (call: string) => `${call} 2>&-` },
  {
    what: 'a full pipe that nobody reads',
    script: (call: string) =>
      `mkfifo "$0/pipe"; exec 8<> "$0/pipe"; python3 -c 'import os; os.set_blocking(8, False)
try:
 while True: os.write(8, b"." * 4096)
except BlockingIOError: os.set_blocking(8, True)'; ${call} 2>&8`,
  },
] as const;
