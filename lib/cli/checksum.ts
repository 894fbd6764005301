import { closeSync, lstatSync, openSync, readSync } from 'node:fs';
import { ioError } from '../sys/io-error.ts';

const CHUNK_BYTES = 1 << 20;

/**
 * SHA-256 of a file, in hex. Imported on demand: `node:crypto` costs 6 ms at startup.
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

/** SHA-256 of these bytes, in hex. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  const { createHash } = await import('node:crypto');
  return createHash('sha256').update(bytes).digest('hex');
}

/** Checksums of files, cached by inode: hard links are read once. */
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
