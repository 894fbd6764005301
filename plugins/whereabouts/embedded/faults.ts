import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { sqliteCode, sqliteKind } from '../../../lib/sys/database.ts';
import { probeFolder } from '../../../lib/sys/probe-folder.ts';

/** The store cannot be trusted: an address that somebody uses might be given again. */
export class StoreDamaged extends CniError {
  constructor(path: string, what: string, cause?: unknown) {
    super(
      'ioFailure',
      `cannot trust the store "${path}": ${what}; "braid ipam check --repair" rebuilds it from what can be proved`,
      { cause },
    );
    this.name = 'StoreDamaged';
  }
}

/** Nothing more can be written: what only gives back may use the space that was kept for it. */
export class NoRoom extends CniError {
  constructor(path: string, cause?: unknown) {
    super('ioFailure', `cannot write the store "${path}": ENOSPC (no space left on device)`, { cause });
    this.name = 'NoRoom';
  }
}

/** https://sqlite.org/rescode.html */
const [READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB] = [8, 10, 11, 13, 14, 15, 26];
const NO_LOCKS = [3850, 2058, 2314, 3594]; // IOERR_LOCK, _UNLOCK, _RDLOCK, _CHECKRESERVEDLOCK
const NO_SHARED_MEMORY = [4618, 5130, 5386]; // IOERR_SHMOPEN, _SHMLOCK, _SHMMAP
const SHM_SIZE = 4874;
const SHORT_READ = 522; // of a log or a database that was cut

/**
 * What an error of SQLite means for the store.
 *
 * @param path of the database
 */
export function faultOf(error: unknown, path: string): unknown {
  const code = sqliteCode(error);
  switch (sqliteKind(error)) {
    case undefined:
      return error;
    case CORRUPT:
    case NOTADB:
      return new StoreDamaged(path, messageOf(error), error);
    case FULL:
      return new NoRoom(path, error);
    case READONLY:
    case CANTOPEN:
    case IOERR:
    case PROTOCOL:
      return code === SHORT_READ
        ? new StoreDamaged(path, 'a part of it is missing', error)
        : fileFault(error, code ?? 0, path);
    default:
      return new CniError('ioFailure', `cannot use the store "${path}": ${messageOf(error)} (SQLite ${code})`, {
        cause: error,
      });
  }
}

/** SQLite keeps the kernel's word to itself; asking the kernel again mostly gives it. */
function fileFault(error: unknown, code: number, path: string): CniError {
  if (isFull(dirname(path))) {
    return new NoRoom(path, error);
  }
  try {
    probeFolder(dirname(path));
  } catch (fault) {
    return fault as CniError;
  }
  const lacks = NO_LOCKS.includes(code)
    ? 'locks'
    : [...NO_SHARED_MEMORY, SHM_SIZE].includes(code)
      ? 'shared memory mappings'
      : undefined;
  return lacks === undefined
    ? new CniError('ioFailure', `cannot use the store "${path}": ${messageOf(error)} (SQLite ${code})`, {
        cause: error,
      })
    : unsupported(path, lacks, `SQLite ${code}`, error);
}

/** The file system of a store is none for it. */
export const unsupported = (path: string, what: string, proof: string, cause?: unknown): CniError =>
  new CniError(
    'ioFailure',
    `cannot use the store "${path}": its file system does not support ${what} (${proof}): ` +
      '"data_dir" must be on a local disk',
    { cause },
  );

/** Bytes that can be written in the folder; Infinity where the file system does not say. */
export function roomIn(folder: string): number {
  const { blocks, bavail, bsize } = statfsSync(folder);
  return blocks > 0 ? bavail * bsize : Number.POSITIVE_INFINITY;
}

/** Are there no blocks or no inodes left? */
function isFull(folder: string): boolean {
  try {
    const { blocks, bfree, files, ffree } = statfsSync(folder);
    return (blocks > 0 && bfree === 0) || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}
