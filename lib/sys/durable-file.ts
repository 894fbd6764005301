import { closeSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { removeQuietly, temporaryFor, writeNew } from './atomic-file.ts';
import type { Disk } from './disk.ts';
import { ioError } from './io-error.ts';

/** A file that is complete and in its place. */
export interface PlacedFile {
  /** Resolves when it survives a power cut too; until then one may bring back what was there before. */
  readonly durable: Promise<void>;
}

/** A file that is being written beside its place. Disposal ends that, and leaves nothing of what was not placed. */
export interface UnplacedFile extends AsyncDisposable {
  /**
   * @returns when no kill of this process can undo it
   * @throws CniError ioFailure, as `writeAtomically`; so does `durable`
   */
  place(): Promise<PlacedFile>;
}

/**
 * Replaces a file as `writeAtomically` does, with waits that other calls can use.
 *
 * @param path nobody else writes it meanwhile
 * @throws as `UnplacedFile.place`
 */
export const placeDurably = (disk: Disk, path: string, content: string | Uint8Array): Promise<PlacedFile> =>
  beginDurably(disk, path, content).place();

/** The same in two parts, for who has something to do while the disk is at work. */
export function beginDurably(disk: Disk, path: string, content: string | Uint8Array): UnplacedFile {
  const temporary = temporaryFor(path);
  const written = writeDurably(disk, temporary, content);
  written.catch(() => undefined); // told by `place`
  let isPlaced = false;
  return {
    place: async () => {
      try {
        await written;
        renameSync(temporary, path);
        isPlaced = true;
      } catch (error) {
        removeQuietly(temporary);
        throw ioError('write', path, error);
      }
      const durable = disk.syncFolder(dirname(path));
      durable.catch(() => undefined); // whoever waits for it is told; perhaps nobody comes to that
      return { durable };
    },
    [Symbol.asyncDispose]: async () => {
      await written.catch(() => undefined);
      if (!isPlaced) {
        removeQuietly(temporary);
      }
    },
  };
}

async function writeDurably(disk: Disk, path: string, content: string | Uint8Array): Promise<void> {
  const fd = writeNew(path, content, 0o600);
  try {
    await disk.sync(fd);
  } finally {
    closeSync(fd);
  }
}
