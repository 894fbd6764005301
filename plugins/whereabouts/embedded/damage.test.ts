import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatIp } from '../../../lib/net/ip.ts';
import { openDatabase } from '../../../lib/sys/database.ts';
import { type Seeded, seeded } from '../../../lib/sys/testing/seeded.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import type { Datastore } from '../datastore.ts';
import { owner, rangesOf, reserved, storeHost, storeIn } from '../testing/fixtures.ts';
import {
  add,
  BOTH,
  DATABASE,
  type Files,
  FOUR,
  fileIn,
  filesIn,
  history,
  LOG,
  next,
  restore,
  SEQUENCE,
  sequenceOf,
} from '../testing/store-files.ts';
import { storedInFile } from './in-file.ts';
import { checksumOf } from './rows.ts';

const ROUNDS = Number(process.env['BRAID_ROUNDS'] ?? 250);

describe('damage', () => {
  const refused = {
    code: 5,
    message: expect.stringMatching(/^cannot trust the store ".*": .*"braid ipam check --repair"/),
  };

  it.each([
    ['its log is deleted', [LOG], /lost the transactions from 1 to 3|it is empty/],
    ['its database is deleted', [DATABASE], /it is missing/],
    ['database and log are deleted', [DATABASE, LOG], /it is missing/],
    ['its sequence is deleted', [SEQUENCE], /sequence": it is missing/],
  ])('is found when %s', async (_, names, why) => {
    using folder = temporaryFolder(true);
    const files = (await history(folder.path, 3)).at(-1);
    const path = join(folder.path, 'damaged');
    restore(path, files, Object.fromEntries(names.map((name) => [name, undefined])));
    await expect(add(path, 'a/new net1 idN')).rejects.toMatchObject({ code: 5, message: expect.stringMatching(why) });
    await expect(next(path, (store) => store.release({ id: 'id0', ifname: 'net1' }))).rejects.toMatchObject(refused);
    await expect(next(path, (store) => store.probe())).rejects.toMatchObject(refused);
  });

  it('is found when an older database is put in its place, or one of another store', async () => {
    using folder = temporaryFolder(true);
    const all = await history(folder.path, 4);
    const path = join(folder.path, 'damaged');
    restore(path, all[3], { [LOG]: all[1]?.contents[LOG] });
    await expect(add(path, 'a/new net1 idN')).rejects.toThrow('it has lost the transactions from 3 to 4');
    const other = (await history(join(folder.path, 'other'), 4)).at(-1);
    restore(path, all[3], { [DATABASE]: other?.contents[DATABASE], [LOG]: other?.contents[LOG] });
    await expect(add(path, 'a/new net1 idN')).rejects.toThrow('it is the database of another store');
  });

  it('is found when database, log and number are of different times, whichever they are', async () => {
    using folder = temporaryFolder(true);
    const random = seeded();
    const states = await changing(join(folder.path, 'source'));
    const path = join(folder.path, 'mixed');
    const pick = () => states[random.below(states.length)] ?? states[0];
    const outcomes = { refused: 0, given: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const [database, log] = [pick(), pick()];
      const newest = database.at > log.at ? database : log;
      const sequence = random.below(3) === 0 ? log : newest;
      if (sequence !== newest && database.inFile <= log.number) {
        continue; // all of it is older: nobody can know
      }
      restore(path, log.files, {
        [DATABASE]: database.files.contents[DATABASE],
        [SEQUENCE]: sequence.files.contents[SEQUENCE],
      });
      const what = `seed ${random.seed}: database ${database.at}, log ${log.at}, sequence ${sequence.at}`;
      using host = storeHost();
      for (const who of ['a/new0 net1 id', 'a/new1 net1 id']) {
        const given = await answered(take(storeIn(path, host, 'first'), who));
        expect(
          given?.some((ip) => newest.held.has(formatIp(ip))),
          what,
        ).not.toBe(true);
        outcomes[given === undefined ? 'refused' : 'given']++;
      }
    }
    expect(outcomes.refused, `seed ${random.seed}`).toBeGreaterThan(50);
    expect(outcomes.given, `seed ${random.seed}`).toBeGreaterThan(20);
  });

  it('is found when the log is deleted below a process that has it open', async () => {
    using folder = temporaryFolder(true);
    const store = storeIn(folder.path);
    await reserved(store, 'a/a net1 idA', BOTH);
    rmSync(fileIn(folder.path, LOG));
    await expect(reserved(store, 'a/b net1 idB', BOTH)).rejects.toMatchObject(refused);
  });

  it('of a newer program or another one is none, and is left alone', async () => {
    using folder = temporaryFolder(true);
    await add(folder.path, 'a/a net1 idA');
    const database = await openDatabase(fileIn(folder.path, DATABASE));
    database.exec('PRAGMA user_version = 2');
    await expect(add(folder.path, 'a/b net1 idB')).rejects.toMatchObject({
      code: 5,
      message: `cannot use the store "${fileIn(folder.path, DATABASE)}": format 2 is not format 1`,
    });
    database.exec('PRAGMA application_id = 7');
    database.close();
    await expect(add(folder.path, 'a/b net1 idB')).rejects.toThrow('it is a database of another program');
  });

  it.each([
    ['a reservation is gone', "DELETE FROM reservation WHERE address = '10.0.0.1'", 'harmless'],
    ['a held address is free', "UPDATE free SET first = '4:0a000001' WHERE first = '4:0a000004'", 'checksum'],
    [
      'a held address is free, and that row is sound',
      `UPDATE free SET first = '4:0a000001', checksum = ${checksumOf('', '', '4:0a000001', '4:ffffffff')}
       WHERE range = '' AND first = '4:0a000004'`,
      'address 4:0a000001 is held and free',
    ],
    ["a reservation has another pod's name", "UPDATE reservation SET pod = 'a/new' WHERE pod = 'a/p0'", 'checksum'],
    [
      'a reservation has another address',
      "UPDATE reservation SET key = '4:0a000004' WHERE key = '4:0a000002'",
      'checksum',
    ],
    ['what is free is gone', "DELETE FROM free WHERE first = '4:0a000004'", 'are neither held nor free'],
    ['the number of the last transaction is another', 'UPDATE store SET sequence = 9', 'checksum'],
  ])('of rows gives no address twice: %s', async (_, sql, outcome) => {
    using folder = temporaryFolder(true);
    for (let i = 0; i < 3; i++) {
      await add(folder.path, `a/p${i} net1 id${i}`, FOUR);
    }
    const database = await openDatabase(fileIn(folder.path, DATABASE));
    database.exec(sql);
    database.close();
    const next = add(folder.path, 'a/new net1 idN', FOUR);
    if (outcome === 'harmless') {
      expect(await next).toEqual(['10.0.0.4']);
    } else {
      await expect(next).rejects.toThrow(outcome);
    }
  });

  it('of 480 kinds at random places doubles no address: it is refused or does no harm', async () => {
    using folder = temporaryFolder(true);
    const random = seeded();
    const source = join(folder.path, 'source');
    const files = await filled(source, random.seed);
    const held = await next(source, async (store) => (await store.pools()).flatMap((pool) => pool.held));
    const taken = new Map(held.map(({ ip, range, entry }) => [`${range} ${ip.value}`, entry.id]));
    const states = [files, filesIn(source)]; // half of it in the log, and, now that the last process has closed it, nothing
    expect(states.map(({ contents }) => LOG in contents)).toEqual([true, false]);
    const outcomes = { refused: 0, harmless: 0 };
    const path = join(folder.path, 'damaged');
    for (let round = 0; round < 480; round++) {
      const state = states[round % 2] ?? files;
      const damaged = damage(state, random);
      restore(path, state, damaged.changes);
      const what = `seed ${random.seed}, round ${round}: ${damaged.what}`;
      using host = storeHost();
      for (const who of ['a/new0 net1 id', 'a/new1 net1 id', ...[0, 0].map(() => `a/p${random.below(200)} net1 id`)]) {
        try {
          const given = await take(storeIn(path, host), who);
          for (const [index, ip] of given.entries()) {
            const holder = taken.get(`${WIDE_TEXTS[index]} ${ip.value}`);
            expect(holder === undefined || holder === who, `${what}: ${who} got an address of ${holder}`).toBe(true);
          }
          outcomes.harmless++;
        } catch (error) {
          if ((error as { code?: unknown }).code !== 5) {
            throw error;
          }
          outcomes.refused++;
        }
      }
    }
    expect(outcomes.refused, `seed ${random.seed}`).toBeGreaterThan(100);
    expect(outcomes.harmless, `seed ${random.seed}`).toBeGreaterThan(100);
  });
});

const WIDE_TEXTS = ['10.0.0.0/16', 'fd00::/64'];
const WIDE = rangesOf(...WIDE_TEXTS);

/** Every pod has a container that is named after it. */
const take = (store: Datastore, who: string) =>
  store.reserve({ owner: { ...owner(who), id: who }, ranges: WIDE, protectOverlaps: true });

/** @returns undefined when the store is not trusted */
async function answered<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    expect(error).toMatchObject({ code: 5, message: expect.stringMatching(/cannot trust|cannot use/) });
    return undefined;
  }
}

interface State {
  readonly at: number;
  /** of the last transaction, and of the last that the database file has by itself */
  readonly number: number;
  readonly inFile: number;
  readonly files: Files;
  /** addresses of the first network */
  readonly held: ReadonlySet<string>;
}

/**
 * The files after each of 90 transactions. There are two networks, and holes in the first, so that each has pages of its
 * own: those of the first change four times in thirty, while the log is written back each sixteen.
 */
async function changing(path: string): Promise<readonly [State, ...State[]]> {
  using host = storeHost();
  const [first, last] = [storeIn(path, host, 'first'), storeIn(path, host, 'last')];
  const held = new Map<string, string>();
  const takeFirst = async (who: string) => {
    for (const ip of await take(first, who)) {
      held.set(`${who} ${ip.family}`, formatIp(ip));
    }
  };
  const all = Array.from({ length: 300 }, (_, i) => `a/p${i} net1 id`);
  await Promise.all(all.map(takeFirst));
  await Promise.all(all.map((who) => take(last, who)));
  for (const who of all.filter((_, i) => i % 2 === 1)) {
    held.delete(`${who} 4`);
    held.delete(`${who} 6`);
  }
  await Promise.all(all.filter((_, i) => i % 2 === 1).map((who) => first.release({ id: who, ifname: 'net1' })));
  const states: State[] = [];
  for (let at = 0; at < 90; at++) {
    const who = `a/more${at} net1 id`;
    await (at % 30 < 4 ? takeFirst(who) : take(last, who));
    const numbers = { number: sequenceOf(path), inFile: numberInFile(fileIn(path, DATABASE)) };
    states.push({ at, ...numbers, files: filesIn(path), held: new Set(held.values()) });
  }
  return states as [State, ...State[]];
}

function numberInFile(path: string): number {
  const fd = openSync(path, 'r');
  try {
    return storedInFile(fd)?.number ?? 0;
  } finally {
    closeSync(fd);
  }
}

/** A store of some 200 pods with gaps, half of it in the log. */
async function filled(path: string, seed: number): Promise<Files> {
  const random = seeded(seed);
  using host = storeHost();
  const store = storeIn(path, host);
  const pods = Array.from({ length: 200 }, (_, i) => `a/p${i} net1 id`);
  await Promise.all(pods.map((who) => take(store, who)));
  for (let round = 0; round < 12; round++) {
    const some = pods.filter(() => random.below(8) === 0);
    await Promise.all(some.map((who) => store.release({ id: who, ifname: 'net1' })));
    await Promise.all(some.filter(() => random.below(2) === 0).map((who) => take(store, who)));
  }
  return filesIn(path);
}

function damage(files: Files, random: Seeded): { changes: Files['contents']; what: string } {
  const name = random.pick([DATABASE, DATABASE, LOG, LOG, SEQUENCE].filter((one) => files.contents[one] !== undefined));
  const bytes = Buffer.from(files.contents[name] ?? Buffer.alloc(0));
  const at = random.below(bytes.length);
  const wipe = (size: number) => bytes.fill(0, at - (at % size), Math.min(bytes.length, at - (at % size) + size));
  const kinds: Readonly<Record<string, () => Buffer | undefined>> = {
    bit: () => bytes.fill((bytes[at] ?? 0) ^ (1 << random.below(8)), at, at + 1),
    byte: () => bytes.fill(random.below(256), at, at + 1),
    page: () => wipe(4096),
    sector: () => wipe(512),
    noise: () => bytes.map((byte, index) => (index >= at && index < at + 64 ? random.below(256) : byte)) as Buffer,
    cut: () => bytes.subarray(0, at),
    loss: () => undefined,
  };
  const kind = random.pick(['bit', ...Object.keys(kinds)]);
  return { changes: { [name]: kinds[kind]?.() }, what: `${kind} at ${at} of ${name}` };
}
