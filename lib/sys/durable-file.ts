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

/**
 * Replaces a file as `writeAtomically` does, with waits that other calls can use.
 *
 * @param path nobody else writes it meanwhile
 * @returns when no kill of this process can undo it
 * @throws CniError ioFailure, as `writeAtomically`; so does `durable`
 */
export async function placeDurably(disk: Disk, path: string, content: string | Uint8Array): Promise<PlacedFile> {
  const temporary = temporaryFor(path);
  try {
    const fd = writeNew(temporary, content, 0o600);
    try {
      await disk.sync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw ioError('write', path, error);
  }
  const durable = disk.syncFolder(dirname(path));
  durable.catch(() => undefined); // whoever waits for it is told; perhaps nobody comes to that
  return { durable };
}
