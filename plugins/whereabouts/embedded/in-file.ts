import { readSync } from 'node:fs';
import { checksumOf } from './rows.ts';
import type { Stored } from './transaction.ts';

export const PAGE_BYTES = 4096;

/** The table `store` is the first that is made, and has one row: it is all that this page holds. */
const PAGE_OF_STORE = 1;
const LEAF = 0x0d;

/** https://sqlite.org/fileformat2.html#record_format: bytes of whole numbers by serial type; 8 and 9 are 0 and 1. */
const BYTES_OF_NUMBER: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 6 };
const FIRST_TEXT = 13;

/**
 * The row of the table `store` as it is in the database file, without what its log has. SQLite shows only both together,
 * and takes any log for that of any database.
 *
 * @param fd of the file, which no one may close while SQLite has it open: all its locks would be lost
 * @returns undefined when there is no such row, or not what was written
 */
export function storedInFile(fd: number): Stored | undefined {
  const page = Buffer.alloc(PAGE_BYTES);
  if (readSync(fd, page, 0, PAGE_BYTES, PAGE_OF_STORE * PAGE_BYTES) < PAGE_BYTES || page[0] !== LEAF) {
    return undefined;
  }
  const [id, number, base, checksum] = recordAt(page, page.readUInt16BE(8) + 2); // after its length and row number
  return typeof id === 'string' &&
    typeof number === 'number' &&
    typeof base === 'number' &&
    checksumOf(id, number, base) === checksum
    ? { id, number, base }
    : undefined;
}

/** Columns of a short record: nothing about it takes a second byte. */
function recordAt(page: Buffer, at: number): readonly (string | number | undefined)[] {
  const types = page.subarray(at + 1, at + (page[at] ?? 0));
  let next = at + types.length + 1;
  return [...types].map((type) => {
    const from = next;
    if (type === 8 || type === 9) {
      return type - 8;
    }
    const size = type < FIRST_TEXT ? BYTES_OF_NUMBER[type] : (type - FIRST_TEXT) / 2;
    if (size === undefined || !Number.isInteger(size) || from + size > page.length) {
      return undefined;
    }
    next += size;
    return type < FIRST_TEXT ? page.readIntBE(from, size) : page.toString('latin1', from, next);
  });
}
