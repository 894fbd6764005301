import { closeSync, openSync, readSync } from 'node:fs';

/** Random bytes from the kernel. `node:crypto` gives the same, but costs 6 ms at every start. */
export function randomBytes(count: number): Buffer {
  const fd = openSync('/dev/urandom', 'r');
  try {
    const bytes = Buffer.alloc(count);
    readSync(fd, bytes);
    return bytes;
  } finally {
    closeSync(fd);
  }
}
