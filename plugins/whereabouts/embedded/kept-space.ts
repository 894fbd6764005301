import { closeSync, constants, openSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ioError } from '../../../lib/sys/io-error.ts';
import { randomBytes } from '../../../lib/sys/random.ts';

/**
 * Files that are only there to be deleted: where a disk has no block and no inode left, a pod must be able to go. SQLite may
 * need two files for it, its log and the log's index, and a release writes some 40 KiB.
 */
const NAMES = ['kept-space.1', 'kept-space.2'];
const BYTES = 128 * 1024;

/** Is all of it there? Two looks at the file system. */
export const hasKeptSpace = (folder: string): boolean => NAMES.every((name) => sizeOf(join(folder, name)) >= BYTES);

/**
 * Makes what is missing of it. What a disk has room for stays, for the next release.
 *
 * @throws CniError ioFailure
 */
export function keepSpace(folder: string): void {
  for (const path of NAMES.map((name) => join(folder, name))) {
    try {
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      try {
        for (let done = sizeOf(path); done < BYTES; ) {
          // at its place, since others may be doing the same; random, so that a file system which compresses keeps most of
          // it, and text, for whoever looks at it
          done += writeSync(
            fd,
            randomBytes(BYTES)
              .toString('base64')
              .slice(0, BYTES - done),
            done,
          );
        }
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw ioError('keep space in', path, error);
    }
  }
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

export function giveSpace(folder: string): void {
  for (const name of NAMES) {
    try {
      unlinkSync(join(folder, name));
    } catch {
      // not there, or given by another call
    }
  }
}
