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
import { basename, dirname } from 'node:path';
import { temporaryNameOf } from './file-name.ts';
import { inside } from './inside.ts';
import { ioError, isMissing } from './io-error.ts';

export interface AtomicWrite {
  /** regardless of the umask; default 0600 */
  readonly mode?: number;
  /** Survive a power cut; default true. Otherwise the content is still complete or absent, but may be the old one. */
  readonly sync?: boolean;
  /** Keep the old file under this path. Between the two renames nothing is at `path`. */
  readonly previous?: string;
  /** Name of the temporary file; default: a hidden one in the same folder, always the same for one path. */
  readonly temporary?: string;
}

export type MadeFolder = Pick<AtomicWrite, 'mode' | 'sync'>;

/**
 * Replaces a file atomically: readers see the old content or the new, never a part, and so after a crash.
 *
 * A killed call leaves at most the temporary file; the next write reuses it, and `removeWritten` removes it. Callers
 * prevent concurrent writes of the same path.
 *
 * @throws CniError ioFailure with the path and the kernel's text; then the file is unchanged and no temporary file is
 * left
 */
export function writeAtomically(path: string, content: string | Uint8Array, options: AtomicWrite = {}): void {
  const { mode = 0o600, sync = true, previous, temporary = temporaryFor(path) } = options;
  try {
    const fd = writeNew(temporary, content, mode);
    try {
      if (sync) {
        fsyncSync(fd);
      }
    } finally {
      closeSync(fd);
    }
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
 * Removes a file of `writeAtomically` and its temporary file. Idempotent.
 *
 * @throws the system's error
 */
export function removeWritten(path: string): void {
  unlinkIfThere(path);
  removeUnwritten(path);
}

/**
 * Removes a file that is hardly ever there, before it is written: an error for what is missing costs five times as much as
 * a look. Its temporary file will be used again.
 *
 * @throws the system's error
 */
export function removeLeftOver(path: string): void {
  if (existsSync(path)) {
    unlinkIfThere(path);
  }
}

function removeUnwritten(path: string): void {
  const temporary = temporaryFor(path);
  if (existsSync(temporary)) {
    unlinkIfThere(temporary);
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isMissing(error)) {
      throw error;
    }
  }
}

/**
 * Makes the names in a folder durable: a file created or renamed there survives a power cut.
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
 * Creates a folder and its parents. Node's own recursive `mkdirSync` loops for ever where an existing folder refuses
 * new entries with ENOENT, as everywhere in /proc.
 *
 * @param sync survive a power cut; default true
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
      return; // by another call meanwhile
    }
    throw ioError('create folder', path, error);
  }
  if (sync) {
    syncFolder(above);
  }
}

/** The path of a file while it is written. */
export const temporaryFor = (path: string): string => inside(dirname(path), temporaryNameOf(basename(path)));

/**
 * Writes a file.
 *
 * @returns its descriptor, for syncing
 * @throws the system's error; the file may be there
 */
export function writeNew(path: string, content: string | Uint8Array, mode: number): number {
  const fd = openSync(path, 'w', mode);
  try {
    fchmodSync(fd, mode);
    writeFileSync(fd, content);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
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

/** Removes a file, best effort. */
export function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // never created, or already renamed
  }
}
