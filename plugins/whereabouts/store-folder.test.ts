import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../lib/sys/crc32c.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { ip, rangesOf, reserved, storeHost, storeIn } from './testing/fixtures.ts';

const BOTH = rangesOf('10.0.0.0/24', 'fd00::/64');

type Files = Readonly<Record<string, Buffer>>;

/** Both addresses for each of so many callers. */
async function fill(path: string, from: number, to: number): Promise<string> {
  for (let i = from; i < to; i++) {
    await reserved(storeIn(path), `a/p${i} net1 id${i}`, BOTH);
  }
  return join(path, '_');
}

/** All of them are there, and the next one gets what follows. */
async function expectAll(path: string, count: number, host = storeHost()): Promise<void> {
  const store = storeIn(path, host);
  const held = await Promise.all(
    Array.from({ length: count }, (_, i) => store.find({ id: `id${i}`, ifname: 'net1' }, BOTH)),
  );
  expect(held).toEqual(
    Array.from({ length: count }, (_, i) => [ip(`10.0.0.${i + 1}`), ip(`fd00::${(i + 1).toString(16)}`)]),
  );
  expect(await reserved(store, 'a/next net1 idN', rangesOf('10.0.0.0/24'))).toEqual([`10.0.0.${count + 1}`]);
}

const filesIn = (place: string): Files =>
  Object.fromEntries(readdirSync(place).map((name) => [name, readFileSync(join(place, name))]));

function restore(place: string, files: Readonly<Record<string, Buffer | undefined>>): void {
  rmSync(place, { recursive: true });
  mkdirSync(place);
  for (const [name, bytes] of Object.entries(files)) {
    if (bytes !== undefined) {
      writeFileSync(join(place, name), bytes);
    }
  }
}

/** The files just before and just after the second snapshot, and how many callers there are by then. */
async function secondSnapshot(path: string): Promise<{ place: string; before: Files; after: Files; count: number }> {
  const place = await fill(path, 0, 1);
  for (let count = 1; ; count++) {
    const before = filesIn(place);
    await fill(path, count, count + 1);
    if (before['snapshot.json'] !== undefined && !existsSync(join(place, 'journal'))) {
      return { place, before, after: filesIn(place), count: count + 1 };
    }
  }
}

describe('the snapshot', () => {
  it('is JSON lines that people can read', async () => {
    using folder = temporaryFolder();
    const { after } = await secondSnapshot(folder.path);
    const lines = String(after['snapshot.json']).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { crc32c: expect.stringMatching(/^[0-9a-f]{8}$/) },
      { format: 1, seq: expect.any(Number), pools: [{ range: '10.0.0.0/24' }, { range: 'fd00::/64' }] },
      { range: '10.0.0.0/24', allocations: { '1': { id: 'id0', podref: 'a/p0', ifname: 'net1' } } },
      { range: 'fd00::/64' },
    ]);
  });

  it('leaves out ranges that are empty', async () => {
    using folder = temporaryFolder();
    const place = await fill(folder.path, 0, 1);
    await storeIn(folder.path).release({ id: 'id0', ifname: 'net1' });
    for (let i = 0; !existsSync(join(place, 'snapshot.json')); i++) {
      await reserved(storeIn(folder.path), `a/p net1 id${i}`, rangesOf('10.9.0.0/16'));
    }
    const [, header = ''] = readFileSync(join(place, 'snapshot.json'), 'utf8').split('\n');
    expect(JSON.parse(header)).toMatchObject({ pools: [{ range: '10.9.0.0/16' }] });
  });

  it('can be cut off from its making after every step', async () => {
    using folder = temporaryFolder();
    const { place, before, after, count } = await secondSnapshot(folder.path);
    const { lock, 'snapshot.json': old, 'journal.1': older } = before;
    const { 'snapshot.json': made, 'journal.1': journal } = after;
    expect(after['snapshot.json.1']).toEqual(old);
    const steps = {
      'before it': { lock, 'snapshot.json': old, 'journal.1': older, journal },
      'half written': {
        lock,
        'snapshot.json': old,
        'snapshot.json.tmp': made?.subarray(0, 99),
        'journal.1': older,
        journal,
      },
      'old one set aside': { lock, 'snapshot.json.1': old, 'snapshot.json.tmp': made, 'journal.1': older, journal },
      'in place': { lock, 'snapshot.json.1': old, 'snapshot.json': made, 'journal.1': older, journal },
      'after it': after,
    };
    for (const [step, files] of Object.entries(steps)) {
      restore(place, files);
      await expectAll(folder.path, count).catch((error: unknown) => expect.fail(`${step}: ${String(error)}`));
      await fill(folder.path, count + 1, count + 60);
      await expect(storeIn(folder.path).probe()).resolves.toBeUndefined();
    }
  });

  it('is not needed when a byte of it is damaged, and is written anew', async () => {
    using folder = temporaryFolder();
    const { place, after, count } = await secondSnapshot(folder.path);
    const sound = after['snapshot.json'] ?? Buffer.alloc(0);
    for (let at = 0; at < sound.length; at += at < 300 ? 29 : 1511) {
      const damaged = Buffer.from(sound);
      damaged[at] = (damaged[at] ?? 0) ^ 4;
      restore(place, { ...after, 'snapshot.json': damaged });
      const [first, second] = [storeHost(), storeHost()];
      await expectAll(folder.path, count, first);
      expect(first.lines, `byte ${at}`).toHaveLength(1);
      await storeIn(folder.path, second).probe();
      expect(second.lines).toEqual([]);
    }
  });

  it('is not needed when it is cut', async () => {
    using folder = temporaryFolder();
    const { place, after, count } = await secondSnapshot(folder.path);
    const sound = after['snapshot.json'] ?? Buffer.alloc(0);
    for (const length of [0, 1, 20, 60, 200, sound.length - 1000, sound.length - 2]) {
      restore(place, { ...after, 'snapshot.json': sound.subarray(0, length) });
      await expectAll(folder.path, count);
    }
  });

  it('that cannot be written fails no call', async () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, '_', 'snapshot.json.tmp'), { recursive: true });
    const host = storeHost();
    for (let i = 0; i < 80; i++) {
      await reserved(storeIn(folder.path, host), `a/p${i} net1 id${i}`, BOTH);
    }
    expect(host.lines[0]).toMatch(/^cannot shorten the journal: cannot write ".*snapshot.json": EISDIR/);
    expect(existsSync(join(folder.path, '_', 'snapshot.json'))).toBe(false);
    await expectAll(folder.path, 80);
  });
});

describe('a store that is incomplete', () => {
  const ask = (path: string) => reserved(storeIn(path), 'a/new net1 id', BOTH);

  it('gives nothing when both snapshots are damaged', async () => {
    using folder = temporaryFolder();
    const { place, after } = await secondSnapshot(folder.path);
    const bad = Buffer.from('{}\n{}\n');
    restore(place, { ...after, 'snapshot.json': bad, 'snapshot.json.1': bad });
    const why = 'its header does not match its checksum';
    await expect(ask(folder.path)).rejects.toMatchObject({
      code: 5,
      message: `cannot read the store "${place}": snapshot.json: ${why}; snapshot.json.1: ${why}`,
    });
  });

  it('gives nothing when records are missing', async () => {
    using folder = temporaryFolder();
    const { place, after } = await secondSnapshot(folder.path);
    await fill(folder.path, 200, 201);
    const { journal } = filesIn(place);
    restore(place, { journal, 'snapshot.json.1': after['snapshot.json.1'] });
    await expect(ask(folder.path)).rejects.toMatchObject({
      code: 5,
      message: expect.stringMatching(
        /snapshot\.json: it is missing; snapshot\.json\.1: records \d+ to \d+ are missing$/,
      ),
    });
  });

  it('is left alone when a newer program has written it', async () => {
    using folder = temporaryFolder();
    const place = await fill(folder.path, 0, 1);
    const header = JSON.stringify({ format: 2, everything: 'else' });
    const check = JSON.stringify({ crc32c: crc32c(Buffer.from(header)).toString(16).padStart(8, '0') });
    writeFileSync(join(place, 'snapshot.json'), `${check}\n${header}\n`);
    await expect(ask(folder.path)).rejects.toMatchObject({
      code: 5,
      message: 'cannot read the snapshot: format 2 is not format 1',
    });
  });
});
