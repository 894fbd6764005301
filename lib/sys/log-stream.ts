import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isAgain, pause } from './pause.ts';

/** What all lines together wait for a reader who does not read. */
const PATIENCE_MS = 50;

/** Opening a pipe that nobody reads fails, instead of waiting; a terminal does not become ours. */
const WITHOUT_WAITING = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Writes text for people, who may have gone: it never throws, and blocks for so long in all at most. What a full disk, a
 * closed pipe or one that nobody empties does not take is dropped.
 *
 * @param fd standard error
 */
export function logStream(fd: number, patienceMs = PATIENCE_MS): (text: string) => void {
  const patience = { left: patienceMs };
  let own: number | undefined;
  return (text) => {
    try {
      own ??= reopened(fd);
      writeWithin(patience, own, text);
    } catch {
      // nobody is there to be told
    }
  };
}

/** A log file, open for appending; a pipe under its name does not hold up a call. */
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
   * One write per text: lines of processes that append at the same time do not mix.
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
 * The same pipe or terminal once more: O_NONBLOCK belongs to the open file, and that is shared with whoever started us.
 * Sockets cannot be opened, and files do not block.
 */
function reopened(fd: number): number {
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
