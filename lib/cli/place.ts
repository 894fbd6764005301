import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CniError } from '../cni/errors.ts';
import { makeFolder, removeQuietly, temporaryFor } from '../sys/atomic-file.ts';
import { ioError } from '../sys/io-error.ts';
import { sha256 } from './checksum.ts';
import { manifestIn } from './manifest.ts';
import { SUPPORT_FOLDER } from './program.ts';
import type { Source } from './source.ts';

const MODE = 0o755;
const TEMPORARY = /^\.[\w-]+\.braid-new$/;

/**
 * Copies a file into a folder under a temporary name, syncs it and verifies the copy. The
 * caller has locked the folder, and removed leftovers of an interrupted copy.
 *
 * @returns its path there
 * @throws CniError ioFailure
 */
export async function copyInto(folder: string, source: Source): Promise<string> {
  const path = join(folder, temporaryName(source.content === undefined ? 'program' : 'launcher'));
  try {
    if (source.content === undefined) {
      copyFileSync(source.path, path, constants.COPYFILE_FICLONE);
    } else {
      writeFileSync(path, source.content);
    }
    chmodSync(path, MODE);
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    removeTemporary(folder);
    throw ioError('write', path, error);
  }
  if ((await sha256(path)) !== source.sha256) {
    removeTemporary(folder);
    throw new CniError('ioFailure', `cannot install "${source.path}": its copy in "${folder}" differs`);
  }
  return path;
}

/**
 * Links a file under another name in its folder, atomically: whoever opens the name gets the old file or the new one,
 * complete. A running program keeps its file, so none is ever busy.
 *
 * @throws CniError ioFailure
 */
export function linkAs(folder: string, file: string, name: string): void {
  const path = join(folder, name);
  const temporary = join(dirname(path), temporaryName(basename(path)));
  try {
    rmSync(temporary, { force: true }); // of an interrupted install
    linkSync(file, temporary);
    renameSync(temporary, path);
    rmSync(temporary, { force: true }); // rename(2) does nothing if both are the same file
  } catch (error) {
    throw ioError('write', path, error);
  }
}

/**
 * Links a file under the name that it is to have, where nobody looks for it: a program does what its name says.
 *
 * @param placeName tells several such links apart
 * @returns its path
 * @throws CniError ioFailure
 */
export function linkForProof(folder: string, file: string, name: string, placeName = 'proof'): string {
  const place = join(folder, temporaryName(placeName));
  const path = join(place, name);
  try {
    rmSync(place, { recursive: true, force: true });
    makeFolder(place, { mode: 0o700, sync: false });
    linkSync(file, path);
  } catch (error) {
    throw ioError('write', path, error);
  }
  return path;
}

/** Removes what an interrupted install or uninstall has left. */
export function removeTemporary(bin: string): void {
  removeQuietly(temporaryFor(manifestIn(bin)));
  for (const folder of [bin, join(bin, SUPPORT_FOLDER)].filter(isThere)) {
    for (const name of readdirSync(folder).filter((entry) => TEMPORARY.test(entry))) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}

/** Whether there is anything, including a dangling symlink. */
export const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Whether two names are the same file. */
export function isSameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

const temporaryName = (name: string): string => `.${name}.braid-new`;
