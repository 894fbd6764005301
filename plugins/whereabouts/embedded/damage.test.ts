import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatIp, type Ip } from '../../../lib/net/ip.ts';
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

/** Thousands take minutes. */
const ROUNDS = Number(process.env['BRAID_ROUNDS'] ?? 120);
const isLong = ROUNDS > 1000;

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
    const isEnough = (): boolean => outcomes.refused > 20 && outcomes.given > 10; // some seeds draw few of one
    for (let round = 0; round < ROUNDS || (!isEnough() && round < 10 * ROUNDS); round++) {
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
    expect(outcomes.refused, `seed ${random.seed}`).toBeGreaterThan(20);
    expect(outcomes.given, `seed ${random.seed}`).toBeGreaterThan(10);
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
      message:
        `cannot use the store "${fileIn(folder.path, DATABASE)}": ` +
        'it is of format 2, which a newer braid writes; this one knows format 1',
    });
    await expect(next(folder.path, (store) => store.release({ id: 'idA', ifname: 'net1' }))).rejects.toThrow(
      'format 2',
    );
    await expect(next(folder.path, (store) => store.inspect())).rejects.toThrow('format 2');
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
    const { states, taken } = await spoilable(join(folder.path, 'source'), random.seed);
    const outcomes = { refused: 0, harmless: 0 };
    const path = join(folder.path, 'damaged');
    for (let round = 0; round < 480; round++) {
      const state = random.pick(states);
      const damaged = damage(state, random);
      restore(path, state, damaged.changes);
      await goOn(path, taken, random, `seed ${random.seed}, round ${round}: ${damaged.what}`, outcomes);
    }
    expect(outcomes.refused, `seed ${random.seed}`).toBeGreaterThan(100);
    expect(outcomes.harmless, `seed ${random.seed}`).toBeGreaterThan(100);
  });

  it('of each page of the database, and of each in its log, doubles no address', async () => {
    using folder = temporaryFolder(true);
    const random = seeded();
    const { states, older, taken } = await spoilable(join(folder.path, 'source'), random.seed);
    const outcomes = { refused: 0, harmless: 0 };
    const path = join(folder.path, 'damaged');
    for (const state of states) {
      for (const [name, header, size] of [
        [DATABASE, 0, 4096],
        [LOG, 32, 4120],
      ] as const) {
        const bytes = state.contents[name] ?? Buffer.alloc(0);
        for (let at = header; at < bytes.length; at += size) {
          const part = bytes.subarray(at, at + size);
          const other = header + size * random.below(Math.floor((bytes.length - header) / size));
          const spoiled: Readonly<Record<string, Buffer>> = {
            zeros: Buffer.alloc(part.length),
            noise: part.map(() => random.below(256)) as Buffer,
            'what another has': bytes.subarray(other, other + size),
            'what it had before': (older.contents[name] ?? bytes).subarray(at, at + size),
            'nothing, as all after it': Buffer.alloc(0),
          };
          const kinds = isLong ? Object.keys(spoiled) : [random.pick(Object.keys(spoiled))];
          for (const kind of kinds) {
            const page = spoiled[kind] ?? part;
            const rest = page.length === 0 ? page : bytes.subarray(at + page.length);
            restore(path, state, { [name]: Buffer.concat([bytes.subarray(0, at), page, rest]) });
            await goOn(path, taken, random, `seed ${random.seed}: ${kind} at ${at} of ${name}`, outcomes);
          }
        }
      }
    }
    expect(outcomes.refused, `seed ${random.seed}`).toBeGreaterThan(100);
    expect(outcomes.harmless, `seed ${random.seed}`).toBeGreaterThan(100);
  }, 600_000);
});

/** Pods come and go in a damaged store. Whatever is answered must be as if it were sound. */
async function goOn(
  path: string,
  taken: ReadonlyMap<string, string>,
  random: Seeded,
  what: string,
  outcomes: { refused: number; harmless: number },
): Promise<void> {
  const holders = new Map(taken);
  const known = () => `a/p${random.below(200)} net1 id`;
  const calls = [
    'a/new0 net1 id',
    known(),
    `- ${known()}`,
    'a/new1 net1 id',
    `- ${known()}`,
    known(),
    'a/new2 net1 id',
  ];
  using host = storeHost();
  const store = storeIn(path, host);
  for (const call of calls) {
    const who = call.replace(/^- /, '');
    const answer = await answered(
      call === who
        ? take(store, who).then((all) => all.map((ip, index) => `${WIDE_TEXTS[index]} ${ip.value}`))
        : store.release({ id: who, ifname: 'net1' }).then((all) => all.map(({ range, ip }) => `${range} ${ip.value}`)),
    );
    outcomes[answer === undefined ? 'refused' : 'harmless']++;
    for (const address of answer ?? []) {
      expect([undefined, who], `${what}: ${call} has an address of another`).toContain(holders.get(address));
      if (call === who) {
        holders.set(address, who);
      } else {
        holders.delete(address);
      }
    }
  }
}

const WIDE_TEXTS = ['10.0.0.0/16', 'fd00::/64'];
const WIDE = rangesOf(...WIDE_TEXTS);

/** Every pod has a container that is named after it. */
async function take(store: Datastore, who: string): Promise<readonly Ip[]> {
  const request = { owner: { ...owner(who), id: who }, ranges: WIDE, protectOverlaps: true };
  const { ips, durable } = await store.reserve(request);
  await durable;
  return ips;
}

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
async function filled(path: string, seed: number): Promise<{ readonly files: Files; readonly older: Files }> {
  const random = seeded(seed);
  using host = storeHost();
  const store = storeIn(path, host);
  const pods = Array.from({ length: 200 }, (_, i) => `a/p${i} net1 id`);
  await Promise.all(pods.map((who) => take(store, who)));
  let older = filesIn(path);
  for (let round = 0; round < 12; round++) {
    older = round === 7 ? filesIn(path) : older;
    const some = pods.filter(() => random.below(8) === 0);
    await Promise.all(some.map((who) => store.release({ id: who, ifname: 'net1' })));
    await Promise.all(some.filter(() => random.below(2) === 0).map((who) => take(store, who)));
  }
  return { files: filesIn(path), older };
}

/** That store with half of it in the log, and as the last process leaves it that has closed it: without one. */
async function spoilable(path: string, seed: number) {
  const { files, older } = await filled(path, seed);
  const held = await next(path, async (store) => (await store.pools()).flatMap((pool) => pool.held));
  const taken = new Map(held.map(({ ip, range, entry }) => [`${range} ${ip.value}`, entry.id]));
  const states = [files, filesIn(path)];
  expect(states.map(({ contents }) => LOG in contents)).toEqual([true, false]);
  return { states, older, taken };
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
