import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { temporaryNameOf } from './file-name.ts';
import { ioError, isMissing } from './io-error.ts';

export interface AtomicWrite {
  /** whatever the umask is; 0600 unless told */
  readonly mode?: number;
  /** Survive a power cut: true unless told. Without it the content is still whole or absent, but maybe the old one. */
  readonly sync?: boolean;
  /** Keep what was there under this path. Between the two renames nothing is at `path`. */
  readonly previous?: string;
  /** Name of the temporary file; unless told, a hidden one beside it, always the same for one path. */
  readonly temporary?: string;
}

export type MadeFolder = Pick<AtomicWrite, 'mode' | 'sync'>;

/**
 * Replaces a file in one step: readers see the old content or the new, never a part, and after a crash one of both.
 *
 * A call that is killed leaves at most the temporary file; the next write takes it over, and `removeWritten` removes it.
 * Callers see to it that nobody else writes the same path at the same time.
 *
 * @throws CniError ioFailure with the path and the kernel's text; then the file is as it was and no temporary is left
 */
export function writeAtomically(path: string, content: string | Uint8Array, options: AtomicWrite = {}): void {
  const { mode = 0o600, sync = true, previous, temporary = temporaryFor(path) } = options;
  try {
    writeNew(temporary, content, mode, sync);
    if (previous !== undefined) {
      renameIfThere(path, previous);
    }
    renameSync(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw ioError('write', path, error);
  }
  if (sync) {
    syncFolder(dirname(path));
  }
}

/**
 * Removes a file that `writeAtomically` wrote or was about to write; one that is not there is no failure.
 *
 * @throws the system's error
 */
export function removeWritten(path: string): void {
  for (const name of [path, temporaryFor(path)]) {
    try {
      unlinkSync(name);
    } catch (error) {
      if (!isMissing(error)) {
        throw error;
      }
    }
  }
}

/**
 * Makes the names in a folder durable: a file created or renamed there survives a power cut from now on.
 *
 * @throws CniError ioFailure
 */
export function syncFolder(path: string): void {
  try {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw ioError('sync folder', path, error);
  }
}

/**
 * Creates a folder and those above it. Node's own recursive `mkdirSync` repeats for ever where the kernel says of a folder
 * that is there that nothing can be made in it, as everywhere in /proc.
 *
 * @param sync survive a power cut: true unless told
 * @throws CniError ioFailure
 */
export function makeFolder(path: string, { mode = 0o700, sync = true }: MadeFolder = {}): void {
  if (existsSync(path)) {
    return;
  }
  const above = dirname(path);
  makeFolder(above, { mode, sync });
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return; // by another call in the meantime
    }
    throw ioError('create folder', path, error);
  }
  if (sync) {
    syncFolder(above);
  }
}

const temporaryFor = (path: string): string => join(dirname(path), temporaryNameOf(basename(path)));

function writeNew(path: string, content: string | Uint8Array, mode: number, sync: boolean): void {
  const fd = openSync(path, 'w', mode);
  try {
    fchmodSync(fd, mode);
    writeFileSync(fd, content);
    if (sync) {
      fsyncSync(fd);
    }
  } finally {
    closeSync(fd);
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isMissing(error)) {
      throw error;
    }
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // never created, or renamed already
  }
}
