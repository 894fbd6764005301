import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../../lib/cni/errors.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { faultOf, NoRoom, StoreDamaged } from './faults.ts';

/** As Node throws it. */
const sqliteError = (errcode: number, message: string): Error =>
  Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode, errstr: message });

function fault(errcode: number, message = 'disk I/O error'): CniError {
  using folder = temporaryFolder();
  const error = faultOf(sqliteError(errcode, message), `${folder.path}/x.db`);
  expect(error).toBeInstanceOf(CniError);
  expect((error as CniError).code).toBe(5);
  return error as CniError;
}

describe('faultOf', () => {
  it.each([
    [11, 'database disk image is malformed'],
    [267, 'database disk image is malformed'],
    [26, 'file is not a database'],
    [522, 'disk I/O error'],
  ])('calls code %i damage, and says what helps', (code, message) => {
    expect(fault(code, message)).toBeInstanceOf(StoreDamaged);
    expect(fault(code, message).message).toMatch(
      /^cannot trust the store ".*": .*"braid ipam check --repair" rebuilds it/,
    );
  });

  it('knows a full disk, for which releases have space of their own', () => {
    expect(fault(13, 'database or disk is full')).toBeInstanceOf(NoRoom);
    expect(fault(13).message).toMatch(/ENOSPC \(no space left on device\)$/);
  });

  it.each([
    [3850, 'locks'],
    [2314, 'locks'],
    [5386, 'shared memory mappings'],
    [4618, 'shared memory mappings'],
    [5130, 'shared memory mappings'],
  ])('says of code %i that the file system has no %s, and where the folder must be', (code, lacks) => {
    expect(fault(code).message).toMatch(
      new RegExp(`its file system does not support ${lacks} \\(SQLite ${code}\\): "data_dir" must be on a local disk$`),
    );
  });

  it('asks the kernel for its own words where SQLite has none', () => {
    using folder = temporaryFolder();
    writeFileSync(`${folder.path}/file`, '', { mode: 0o777 });
    const error = faultOf(sqliteError(14, 'unable to open database file'), `${folder.path}/file/x.db`);
    expect((error as CniError).message).toBe(`cannot write in "${folder.path}/file": ENOTDIR (not a directory)`);
  });

  it('gives the code of what it does not know, and leaves other errors alone', () => {
    expect(fault(1, 'no such table: free').message).toMatch(/: no such table: free \(SQLite 1\)$/);
    const other = new TypeError('x');
    expect(faultOf(other, '/x')).toBe(other);
  });
});
