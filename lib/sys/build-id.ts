import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * Every executable of a build ends with the same mark, so that a plugin can tell a file of its own build (hard link,
 * symlink or copy) from another program of the same name.
 */
export const MARK_BYTES = 48;

/** `//#braid-` and the build's identity, padded: a comment where the file is JavaScript. */
export const markOf = (id: string): Buffer => Buffer.from(`\n//#braid-${id}`.padEnd(MARK_BYTES - 1).concat('\n'));

/**
 * Of launchers, whatever build they are of: they bring a call to an agent, or to the program beside them. Counts up with
 * what they say to it.
 */
export const LAUNCHER_MARK: Buffer = markOf('launcher-1');

/** @returns the last bytes of the file; undefined when it is unreadable or shorter */
export function readMark(path: string): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const { size } = fstatSync(fd);
    const mark = Buffer.alloc(MARK_BYTES);
    return size > MARK_BYTES && readSync(fd, mark, 0, MARK_BYTES, size - MARK_BYTES) === MARK_BYTES ? mark : undefined;
  } finally {
    closeSync(fd);
  }
}
