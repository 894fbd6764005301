import { appendFileSync, existsSync, ftruncateSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { frameOf, Journal, type JournalCalls } from './journal.ts';
import { temporaryFolder } from './testing/temporary.ts';

const RECORDS = ['first', 'the second one', '3', 'a fourth record, longer than the others'];

const textsIn = (path: string): readonly string[] => {
  using journal = Journal.open(path);
  return journal.payloads.map(String);
};

function append(path: string, ...records: readonly string[]): void {
  using journal = Journal.open(path);
  for (const record of records) {
    journal.append(Buffer.from(record));
  }
}

const full = (): never => {
  throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
};

const calls = (changed: Partial<JournalCalls>): JournalCalls => ({
  write: writeSync,
  datasync: () => {},
  truncate: ftruncateSync,
  ...changed,
});

describe('Journal', () => {
  it('is empty when the file is missing, and creates it with the first record only', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'journal');
    expect(textsIn(path)).toEqual([]);
    expect(existsSync(path)).toBe(false);
    append(path, 'x');
    expect(textsIn(path)).toEqual(['x']);
  });

  it('frames a record as length, CRC-32C and payload', () => {
    expect(frameOf(Buffer.from('123456789')).toString('hex')).toBe(
      `00000009e3069283${Buffer.from('123456789').toString('hex')}`,
    );
  });

  it('gives records back in order, and counts them', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'journal');
    append(path, ...RECORDS.slice(0, 2));
    append(path, ...RECORDS.slice(2));
    expect(textsIn(path)).toEqual(RECORDS);
    using journal = Journal.open(path);
    journal.append(Buffer.from('fifth'));
    expect([journal.count, journal.size]).toEqual([5, statSync(path).size]);
  });

  it('keeps every confirmed record when the file is cut at any byte after it, and takes more', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'journal');
    append(path, ...RECORDS);
    const whole = readFileSync(path);
    const ends = RECORDS.map(
      (_, i) => Buffer.concat(RECORDS.slice(0, i + 1).map((text) => frameOf(Buffer.from(text)))).length,
    );
    for (let cut = 0; cut <= whole.length; cut++) {
      writeFileSync(path, whole.subarray(0, cut));
      const confirmed = RECORDS.slice(0, ends.filter((end) => end <= cut).length);
      expect(textsIn(path), `cut at ${cut}`).toEqual(confirmed);
      append(path, 'next');
      expect(textsIn(path), `appended after a cut at ${cut}`).toEqual([...confirmed, 'next']);
    }
  });

  it.each([
    ['zeros', Buffer.alloc(4096)],
    ['half a header', Buffer.from([0, 0, 0])],
    ['a record with a wrong checksum', frameOf(Buffer.from('x')).fill(0, 4, 8)],
    ['a length beyond the end', Buffer.from('7fffffff00000000aa', 'hex')],
  ])('drops a tail of %s', (_, tail) => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'journal');
    append(path, ...RECORDS);
    appendFileSync(path, tail);
    append(path, 'next');
    expect(textsIn(path)).toEqual([...RECORDS, 'next']);
  });

  it('refuses a journal that is damaged before its last record', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'journal');
    append(path, ...RECORDS);
    const bytes = readFileSync(path);
    bytes[10] = (bytes[10] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect(() => Journal.open(path)).toThrow(
      expect.objectContaining({
        code: 5,
        message: `cannot read "${path}": the record at byte 0 is damaged and a valid one follows at byte 13`,
      }),
    );
  });

  it('takes back a record for which the disk has no room, and goes on when there is some again', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'journal');
    append(path, ...RECORDS);
    const before = readFileSync(path);
    for (let room = 0; room < 12; room++) {
      let left = room;
      const write: JournalCalls['write'] = (fd, bytes, offset, length, position) => {
        const part = Math.min(left, length);
        left -= part;
        return part === 0 ? full() : writeSync(fd, bytes, offset, part, position);
      };
      using journal = Journal.open(path, calls({ write }));
      expect(() => journal.append(Buffer.from('no room'))).toThrow(
        expect.objectContaining({ code: 5, message: `cannot append to "${path}": ENOSPC (no space left on device)` }),
      );
      expect(readFileSync(path).equals(before)).toBe(true);
      left = 1000;
      journal.append(Buffer.from(`room ${room}`));
      expect(textsIn(path)).toEqual([...RECORDS, `room ${room}`]);
      writeFileSync(path, before);
    }
  });

  it('takes back a record that could not be synced', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'journal');
    append(path, 'x');
    using journal = Journal.open(path, calls({ datasync: full }));
    expect(() => journal.append(Buffer.from('y'))).toThrow('ENOSPC');
    expect(textsIn(path)).toEqual(['x']);
  });

  it('tells both failures when a record can be neither written nor taken back, and cuts it off later', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'journal');
    append(path, 'x');
    let broken = true;
    const truncate: JournalCalls['truncate'] = (fd, length) => (broken ? full() : ftruncateSync(fd, length));
    const datasync = () => (broken ? full() : undefined);
    using journal = Journal.open(path, calls({ datasync, truncate }));
    expect(() => journal.append(Buffer.from('y'))).toThrow('cannot truncate the unfinished record');
    broken = false;
    journal.append(Buffer.from('z'));
    expect(textsIn(path)).toEqual(['x', 'z']);
  });
});
