import { readSync } from 'node:fs';
import { retryWhenReady } from './pause.ts';

const CHUNK = 64 * 1024;

/**
 * Reads to the end, also from a non-blocking pipe with a slow writer.
 *
 * @throws the system's error
 */
export function readAll(fd: number): Buffer {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const length = retryWhenReady(() => readSync(fd, chunk, 0, CHUNK, null));
    if (length === 0) {
      return chunks.length === 1 ? (chunks[0] ?? chunk) : Buffer.concat(chunks);
    }
    chunks.push(chunk.subarray(0, length));
  }
}
