import { closeSync, lstatSync, openSync, readSync } from 'node:fs';
import { ioError } from '../sys/io-error.ts';

const CHUNK_BYTES = 1 << 20;

/**
 * SHA-256 of a file, in hex. Loaded here and not at the top: `node:crypto` costs 6 ms of a start.
 *
 * @throws CniError ioFailure
 */
export async function sha256(path: string): Promise<string> {
  const { createHash } = await import('node:crypto');
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(CHUNK_BYTES);
  try {
    const fd = openSync(path, 'r');
    try {
      for (let length = 1; length > 0; ) {
        length = readSync(fd, chunk);
        hash.update(chunk.subarray(0, length));
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw ioError('read', path, error);
  }
  return hash.digest('hex');
}

/** Checksums of files in one folder; names of one file, which hard links are, are read once. */
export function checksums(): (path: string) => Promise<string> {
  const known = new Map<string, Promise<string>>();
  return (path) => {
    const { dev, ino } = lstatSync(path, { bigint: true });
    const key = `${dev}:${ino}`;
    const sum = known.get(key) ?? sha256(path);
    known.set(key, sum);
    return sum;
  };
}
