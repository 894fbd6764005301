import { writeSync } from 'node:fs';
import { untilReady } from './pause.ts';

/**
 * Writes all of it: what one write(2) did not take goes into the next, and a full pipe that somebody made non-blocking is
 * waited for.
 *
 * @throws the system's error: ENOSPC, EFBIG, EPIPE
 */
export function writeAll(fd: number, content: string | Uint8Array): void {
  let rest = typeof content === 'string' ? Buffer.from(content) : content;
  while (rest.length > 0) {
    const part = rest;
    rest = part.subarray(untilReady(() => writeSync(fd, part)));
  }
}
