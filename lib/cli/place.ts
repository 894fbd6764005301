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
} from 'node:fs';
import { join } from 'node:path';
import { CniError } from '../cni/errors.ts';
import { ioError } from '../sys/io-error.ts';
import { sha256 } from './checksum.ts';

const MODE = 0o755;
const TEMPORARY = /^\.[\w-]+\.braid-new$/;

/**
 * Copies a file into a folder under a temporary name, and reads back that it is the same. It is on the disk when this
 * returns. What an interrupted copy left behind is removed first; the folder is locked by the caller.
 *
 * @returns its path there
 * @throws CniError ioFailure
 */
export async function bringIn(folder: string, source: { readonly path: string; readonly sha256: string }) {
  removeTemporary(folder);
  const path = join(folder, temporaryName('program'));
  try {
    copyFileSync(source.path, path, constants.COPYFILE_FICLONE);
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
    throw new CniError('ioFailure', `cannot install "${source.path}": its copy in "${folder}" is not the same`);
  }
  return path;
}

/**
 * Gives a file another name in its folder, in one step: whoever opens the name gets the old file whole or the new one. A
 * program that runs keeps its file, so none is ever busy.
 *
 * @throws CniError ioFailure
 */
export function giveName(folder: string, file: string, name: string): void {
  const path = join(folder, name);
  const temporary = join(folder, temporaryName(name));
  try {
    linkSync(file, temporary);
    renameSync(temporary, path);
    rmSync(temporary, { force: true }); // rename(2) does nothing where both are the same file already
  } catch (error) {
    throw ioError('write', path, error);
  }
}

export function removeTemporary(folder: string): void {
  for (const name of readdirSync(folder).filter((entry) => TEMPORARY.test(entry))) {
    rmSync(join(folder, name), { force: true });
  }
}

/** A link counts as itself, whether it leads anywhere or not. */
export const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Two names of one file. */
export function isSameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

const temporaryName = (name: string): string => `.${name}.braid-new`;
