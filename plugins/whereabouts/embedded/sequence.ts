import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { syncFolder } from '../../../lib/sys/atomic-file.ts';
import { inside } from '../../../lib/sys/inside.ts';
import { ioError, isMissing } from '../../../lib/sys/io-error.ts';
import { randomBytes } from '../../../lib/sys/random.ts';
import { StoreDamaged } from './faults.ts';
import { checksumOf } from './rows.ts';

/** Which database counts, and the number of its last transaction that was answered. */
export interface Sequence {
  readonly id: string;
  readonly number: number;
}

const DIGITS = 16;
/** Whoever reads while somebody writes, which no lock forbids, may see a part of both: no kernel promises otherwise. */
const MOST_READS = 3;

/**
 * A line of its own beside the database, written after each transaction. A database that is behind it has lost something:
 * its log was deleted, or an older file was put in its place. The line is always as long, and written in place: that
 * takes no space, and a power cut leaves at worst an older one, which says less, not wrong.
 */
export const sequenceIn = (folder: string): string => inside(folder, 'sequence');

/**
 * @param read what is in a file; undefined when there is none
 * @returns undefined when there is none
 * @throws StoreDamaged, CniError ioFailure
 */
export function readSequence(folder: string, read = textOf): Sequence | undefined {
  const path = sequenceIn(folder);
  for (let reads = 1; ; reads++) {
    const text = read(path);
    const [id = '', number = '', checksum] = text?.trimEnd().split(' ') ?? [];
    if (text === undefined || (/^[0-9]+$/.test(number) && checksum === sumOf(id, number))) {
      return text === undefined ? undefined : { id, number: Number(number) };
    }
    if (reads === MOST_READS) {
      throw new StoreDamaged(path, 'it does not match its checksum');
    }
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('read', path, error);
  }
}

/** @throws CniError ioFailure */
export function writeSequence(folder: string, { id, number }: Sequence): void {
  const path = sequenceIn(folder);
  try {
    const fd = openSync(path, 'r+');
    try {
      writeSync(fd, formatSequence({ id, number }), 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw ioError('write', path, error);
  }
}

export const newSequence = (): Sequence => ({ id: randomBytes(4).toString('hex'), number: 0 });

/**
 * Makes the line of a new store; when several try, one of them wins.
 *
 * @throws CniError ioFailure
 */
export const makeSequence = (folder: string): void =>
  place(folder, newSequence(), (temporary, path) => {
    try {
      linkSync(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw error;
      }
    }
    unlinkSync(temporary);
  });

/**
 * From now on another store counts.
 *
 * @throws CniError ioFailure
 */
export const replaceSequence = (folder: string, sequence: Sequence): void => place(folder, sequence, renameSync);

/** On the disk when this returns: a line that a power cut took away would be missed. */
function place(folder: string, { id, number }: Sequence, put: (temporary: string, path: string) => void): void {
  const path = sequenceIn(folder);
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      writeSync(fd, formatSequence({ id, number }));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    put(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw ioError('create', path, error);
  }
  syncFolder(folder);
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // never made, or not there any more
  }
}

/** The line as it is written. */
export function formatSequence({ id, number }: Sequence): string {
  const digits = String(number).padStart(DIGITS, '0');
  return `${id} ${digits} ${sumOf(id, digits)}\n`;
}

const sumOf = (id: string, digits: string): string => checksumOf(id, digits).toString(16).padStart(8, '0');
