import { closeSync, openSync, readSync } from 'node:fs';

/** What one visit of the kernel brings. */
const AHEAD_BYTES = 4096;

let ahead: { readonly bytes: Buffer; next: number } | undefined;

/** Random bytes from the kernel. `node:crypto` gives the same, but costs 6 ms at every start. */
export function randomBytes(count: number): Buffer {
  if (ahead === undefined || count > AHEAD_BYTES) {
    return fromKernel(count);
  }
  if (ahead.next + count > ahead.bytes.length) {
    ahead = { bytes: fromKernel(AHEAD_BYTES), next: 0 };
  }
  const { bytes, next } = ahead;
  ahead.next += count;
  return Buffer.from(bytes.subarray(next, next + count));
}

/**
 * From now on the kernel is visited for many at once: for a process that serves many calls. Not for one that a snapshot is
 * taken of, since all that start from it would have the same.
 */
export function readAhead(): void {
  ahead ??= { bytes: Buffer.alloc(0), next: 0 };
}

function fromKernel(count: number): Buffer {
  const fd = openSync('/dev/urandom', 'r');
  try {
    const bytes = Buffer.alloc(count);
    readSync(fd, bytes);
    return bytes;
  } finally {
    closeSync(fd);
  }
}
