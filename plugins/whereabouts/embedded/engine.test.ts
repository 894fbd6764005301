import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../../lib/sys/database.ts';
import { type Seeded, seeded } from '../../../lib/sys/testing/seeded.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import type { Datastore } from '../datastore.ts';
import { owner, rangesOf, reserved, storeHost, storeIn } from '../testing/fixtures.ts';
import { checksumOf } from './rows.ts';
import { makeSequence } from './sequence.ts';

const FOUR = rangesOf('10.0.0.0/24');
const BOTH = rangesOf('10.0.0.0/24', 'fd00::/64');
const [DATABASE, LOG, SEQUENCE] = ['database', 'database-wal', 'sequence'];
const ALL = [DATABASE, LOG, SEQUENCE];

interface Files {
  readonly id: string;
  readonly contents: Readonly<Record<string, Buffer | undefined>>;
}

const idIn = (folder: string): string => readFileSync(join(folder, SEQUENCE), 'utf8').split(' ')[0] ?? '';

/** `database`, `database-wal` and `sequence` as they are called in the folder. */
const fileIn = (folder: string, name: string, id = idIn(folder)): string =>
  join(folder, name.replace(/^database/, `whereabouts-${id}.db`));

const filesIn = (folder: string): Files => {
  const contents = ALL.filter((name) => existsSync(fileIn(folder, name))).map((name) => [
    name,
    readFileSync(fileIn(folder, name)),
  ]);
  return { id: idIn(folder), contents: Object.fromEntries(contents) };
};

function restore(folder: string, files: Files | undefined, changes: Files['contents'] = {}): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries({ ...files?.contents, ...changes })) {
    if (bytes !== undefined) {
      writeFileSync(fileIn(folder, name, files?.id), bytes);
    }
  }
}

/** What the next process finds. */
async function next<T>(folder: string, work: (store: Datastore) => Promise<T>): Promise<T> {
  using host = storeHost();
  return await work(storeIn(folder, host));
}

const add = (folder: string, who: string, ranges = BOTH) => next(folder, (store) => reserved(store, who, ranges));

const sequenceOf = (folder: string): number => Number(readFileSync(join(folder, SEQUENCE), 'utf8').split(' ')[1]);

/** Several calls of one process, which is killed then: nothing is closed. The files after each. */
async function history(folder: string, calls: number): Promise<readonly Files[]> {
  const store = storeIn(folder);
  const all: Files[] = [];
  for (let i = 0; i < calls; i++) {
    await reserved(store, `a/p${i} net1 id${i}`, BOTH);
    all.push(filesIn(folder));
  }
  return all;
}

describe('the embedded store', () => {
  it('keeps what it gave, over separate processes', async () => {
    using folder = temporaryFolder(true);
    expect(await add(folder.path, 'a/a net1 idA')).toEqual(['10.0.0.1', 'fd00::1']);
    expect(await add(folder.path, 'a/b net1 idB')).toEqual(['10.0.0.2', 'fd00::2']);
    expect(await add(folder.path, 'a/a net1 idA')).toEqual(['10.0.0.1', 'fd00::1']);
    expect(await next(folder.path, (store) => store.release({ id: 'idA', ifname: 'net1' }))).toHaveLength(2);
    expect(await add(folder.path, 'a/c net1 idC')).toEqual(['10.0.0.1', 'fd00::1']);
  });

  it('creates nothing to look, free or collect', async () => {
    using folder = temporaryFolder(true);
    const store = storeIn(join(folder.path, 'data'));
    expect(await store.release({ id: 'id', ifname: 'net1' })).toEqual([]);
    expect(await store.collect('net-a', BOTH, [])).toEqual([]);
    expect(await store.find({ id: 'id', ifname: 'net1' }, BOTH)).toEqual([undefined, undefined]);
    expect(await store.pools()).toEqual([]);
    await store.probe();
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it('makes files that root alone can read', async () => {
    using folder = temporaryFolder(true);
    const path = join(folder.path, 'data');
    await reserved(storeIn(path), 'a/a net1 idA', BOTH);
    const modes = readdirSync(path).map((name) => [name, (statSync(join(path, name)).mode & 0o777).toString(8)]);
    expect(Object.fromEntries(modes)).toEqual({
      ...Object.fromEntries(
        [...ALL, 'database-shm', 'kept-space.1', 'kept-space.2'].map((name) => [basename(fileIn(path, name)), '600']),
      ),
    });
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('takes all ranges, networks and pods that ask at once in one transaction', async () => {
    using folder = temporaryFolder(true);
    using host = storeHost();
    const [blue, red] = [storeIn(folder.path, host, 'blue'), storeIn(folder.path, host, 'red')];
    const given = await Promise.all([
      reserved(blue, 'a/a net1 idA', BOTH),
      reserved(red, 'a/a net2 idA', BOTH),
      ...Array.from({ length: 30 }, (_, i) => reserved(blue, `a/p${i} net1 id${i}`, FOUR)),
    ]);
    expect(given.slice(0, 3)).toEqual([['10.0.0.1', 'fd00::1'], ['10.0.0.1', 'fd00::1'], ['10.0.0.2']]);
    expect(sequenceOf(folder.path)).toBe(1);
    await Promise.all(Array.from({ length: 30 }, (_, i) => blue.release({ id: `id${i}`, ifname: 'net1' })));
    expect(sequenceOf(folder.path)).toBe(2);
    expect(await blue.networks()).toEqual(['blue', 'red']);
  });

  it('changes nothing when the second range is full', async () => {
    using folder = temporaryFolder(true);
    const ranges = rangesOf('10.0.0.0/24', '10.1.0.0/30');
    const store = storeIn(folder.path);
    await reserved(store, 'a/a net1 idA', ranges);
    await reserved(store, 'a/b net1 idB', ranges);
    await expect(reserved(store, 'a/c net1 idC', ranges)).rejects.toThrow('ip: 10.1.0.1 / - 10.1.0.2');
    expect(sequenceOf(folder.path)).toBe(2);
    expect(await reserved(store, 'a/d net1 idD', FOUR)).toEqual(['10.0.0.3']);
  });

  it('can be read by people, in order of address', async () => {
    using folder = temporaryFolder(true);
    await next(folder.path, async (store) => {
      for (const who of ['a/a net1 idA', '- net1 idB']) {
        await reserved(store, who, BOTH);
      }
    });
    const database = await openDatabase(fileIn(folder.path, DATABASE));
    const rows = database.prepare('SELECT range, address, container, interface, pod, conf FROM reservation').all();
    expect(rows.map((row) => Object.values(row).join(' '))).toEqual([
      '10.0.0.0/24 10.0.0.1 idA net1 a/a net-a',
      '10.0.0.0/24 10.0.0.2 idB net1  net-a',
      'fd00::/64 fd00::1 idA net1 a/a net-a',
      'fd00::/64 fd00::2 idB net1  net-a',
    ]);
    expect(database.prepare("SELECT sql FROM sqlite_schema WHERE name = 'reservation'").get()?.['sql']).toContain(
      '-- names the pool',
    );
    database.close();
  });

  it('keeps its log short, however many processes there are', async () => {
    using folder = temporaryFolder(true);
    const copy = `${folder.path}-copy`;
    for (let round = 0; round < 60; round++) {
      await reserved(storeIn(folder.path), `a/p${round % 20} net1 id${round}`, BOTH);
      restore(copy, filesIn(folder.path)); // a process that is not ended is one more reader
      rmSync(folder.path, { recursive: true });
      restore(folder.path, filesIn(copy));
    }
    rmSync(copy, { recursive: true });
    expect(statSync(fileIn(folder.path, LOG)).size).toBeLessThan(600 * 1024);
    expect(await add(folder.path, 'a/new net1 idN')).toEqual(['10.0.0.21', 'fd00::15']);
  });
});

describe('a power cut', () => {
  it('takes nothing that was answered, wherever it cuts the log', async () => {
    using folder = temporaryFolder(true);
    const all = await history(folder.path, 3);
    const whole = all.at(-1)?.contents[LOG] ?? Buffer.alloc(0);
    const ends = all.map((files) => files.contents[LOG]?.length ?? 0);
    const frames = Array.from({ length: Math.floor(whole.length / 4120) + 1 }, (_, frame) => 32 + frame * 4120);
    const borders = frames.flatMap((at) => [at - 1, at, at + 1, at + 23, at + 24, at + 25]);
    const sample = Array.from({ length: Math.floor(whole.length / 331) }, (_, index) => index * 331);
    const path = join(folder.path, 'cut');
    for (const cut of new Set([0, 1, 31, ...borders, ...sample].filter((at) => at >= 0 && at <= whole.length))) {
      const answered = ends.filter((end) => end <= cut).length;
      if (answered === 0) {
        continue; // there was no store before the first answer: tested below
      }
      restore(path, all[answered - 1], { [LOG]: whole.subarray(0, cut) });
      const got = await add(path, 'a/new net1 idN', FOUR);
      expect(got, `cut at ${cut}`).toEqual([`10.0.0.${answered + 1}`]);
      for (let i = 0; i < answered; i++) {
        expect(
          await next(path, (store) => store.find({ id: `id${i}`, ifname: 'net1' }, BOTH)),
          `cut at ${cut}`,
        ).not.toContain(undefined);
      }
    }
  });

  it('takes nothing while the log is written back, whichever pages were written', async () => {
    using folder = temporaryFolder(true);
    const random = seeded();
    const files = (await history(folder.path, 10)).at(-1);
    const path = join(folder.path, 'cut');
    restore(path, files);
    const database = await openDatabase(fileIn(path, DATABASE));
    database.exec('PRAGMA wal_checkpoint(FULL)');
    const done = readFileSync(fileIn(path, DATABASE));
    database.close();
    const before = files?.contents[DATABASE] ?? Buffer.alloc(0);
    const pages = done.length / 4096;
    const some = (isWritten: (page: number) => boolean): Buffer =>
      Buffer.concat(
        Array.from({ length: pages }, (_, page) => {
          const [from, to] = [page * 4096, (page + 1) * 4096];
          return isWritten(page) ? done.subarray(from, to) : Buffer.concat([before.subarray(from, to)], 4096);
        }),
      );
    const states = [
      ...Array.from({ length: pages + 1 }, (_, upTo) => some((page) => page < upTo)),
      ...Array.from({ length: pages + 1 }, (_, upTo) => some((page) => page >= upTo)),
      ...Array.from({ length: 20 }, () => some(() => random.below(2) === 0)),
    ];
    for (const [index, state] of states.entries()) {
      restore(path, files, { [DATABASE]: state });
      expect(await add(path, 'a/new net1 idN'), `seed ${random.seed}, state ${index}`).toEqual([
        '10.0.0.11',
        'fd00::b',
      ]);
      await next(path, (store) => store.probe());
    }
  });

  it.each([[[]], [[SEQUENCE]], [[SEQUENCE, DATABASE]]])(
    'while the store is made leaves one that can be used: of it there is %j',
    async (names) => {
      using folder = temporaryFolder(true);
      if (names.length > 0) {
        makeSequence(folder.path);
      }
      if (names.includes(DATABASE)) {
        writeFileSync(fileIn(folder.path, DATABASE), '');
      }
      expect(await next(folder.path, (store) => store.release({ id: 'idA', ifname: 'net1' }))).toEqual([]);
      expect(await add(folder.path, 'a/a net1 idA')).toEqual(['10.0.0.1', 'fd00::1']);
    },
  );
});

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
