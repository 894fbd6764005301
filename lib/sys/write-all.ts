import { writeSync } from 'node:fs';
import { retryWhenReady } from './pause.ts';

/**
 * Writes everything: repeats partial writes, and waits for a full non-blocking pipe.
 *
 * @throws the system's error: ENOSPC, EFBIG, EPIPE
 */
export function writeAll(fd: number, content: string | Uint8Array): void {
  let rest = typeof content === 'string' ? Buffer.from(content) : content;
  while (rest.length > 0) {
    const part = rest;
    rest = part.subarray(retryWhenReady(() => writeSync(fd, part)));
  }
}
