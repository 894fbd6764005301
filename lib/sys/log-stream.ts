import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isAgain, pause } from './pause.ts';

/** Total wait of all lines for a reader that does not read. */
const PATIENCE_MS = 50;

/** Opening a pipe without a reader fails instead of blocking; a terminal does not become our controlling one. */
const WITHOUT_WAITING = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Writes text for people, who may be gone: it never throws, and blocks only for a limited total time. What a full disk,
 * a closed pipe or a full one does not accept is dropped.
 *
 * @param fd standard error
 */
export function logStream(fd: number, patienceMs = PATIENCE_MS): (text: string) => void {
  const patience = { left: patienceMs };
  let own: number | undefined;
  return (text) => {
    try {
      own ??= reopen(fd);
      writeWithin(patience, own, text);
    } catch {
      // nobody left to tell
    }
  };
}

/** A log file opened for appending; a pipe in its place does not block a call. */
export class LogFile implements Disposable {
  private readonly fd: number;
  private readonly patience = { left: PATIENCE_MS };

  /** @throws the system's error */
  constructor(path: string, mode: number) {
    this.fd = openSync(path, WITHOUT_WAITING | constants.O_APPEND | constants.O_CREAT, mode);
  }

  get size(): number {
    return fstatSync(this.fd).size;
  }

  /**
   * One write per text, so that lines of concurrent processes do not mix.
   *
   * @throws the system's error
   */
  append(text: string): void {
    writeWithin(this.patience, this.fd, text);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

function writeWithin(patience: { left: number }, fd: number, text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (!isAgain(error) || patience.left <= 0) {
        throw error;
      }
      pause(1);
      patience.left -= 1;
    }
  }
}

/**
 * Reopens a pipe or terminal: O_NONBLOCK belongs to the open file description, which is shared with the parent process.
 * Sockets cannot be reopened, and files do not block.
 */
function reopen(fd: number): number {
  const facts = fstatSync(fd);
  if (!facts.isFIFO() && !facts.isCharacterDevice()) {
    return fd;
  }
  try {
    return openSync(`/proc/self/fd/${fd}`, WITHOUT_WAITING);
  } catch {
    return fd;
  }
}
