import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../../lib/sys/database.ts';
import { seeded } from '../../../lib/sys/testing/seeded.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { reserved, storeHost, storeIn } from '../testing/fixtures.ts';
import { add, DATABASE, FOUR, fileIn, history, LOG, next, restore, SEQUENCE } from '../testing/store-files.ts';
import { makeSequence } from './sequence.ts';

const [HEADER, FRAME] = [32, 24 + 4096];
/** 1 takes minutes */
const STEP = Number(process.env['BRAID_CUT_STEP'] ?? 331);

describe('a power cut', () => {
  it(`takes nothing that was answered, at ${STEP === 1 ? 'every byte' : `each ${STEP}th byte and all borders`} of the log`, async () => {
    using folder = temporaryFolder(true);
    const random = seeded();
    const all = await history(folder.path, 3);
    const whole = all.at(-1)?.contents[LOG] ?? Buffer.alloc(0);
    const ends = all.map((files) => files.contents[LOG]?.length ?? 0);
    const [first = 0] = ends; // there was no store before the first answer: tested below
    const frames = Array.from({ length: Math.floor(whole.length / FRAME) + 1 }, (_, frame) => HEADER + frame * FRAME);
    const borders = frames.flatMap((at) => [at - 1, at, at + 1, at + 23, at + 24, at + 25]);
    const start = random.below(STEP);
    const sample = Array.from({ length: Math.floor(whole.length / STEP) }, (_, index) => start + index * STEP);
    const path = join(folder.path, 'cut');
    for (const cut of new Set([...borders, ...sample].filter((at) => at >= first && at <= whole.length))) {
      const answered = ends.filter((end) => end <= cut).length;
      restore(path, all[answered - 1], { [LOG]: whole.subarray(0, cut) });
      using host = storeHost();
      const store = storeIn(path, host);
      const pods = Array.from({ length: answered }, (_, i) => `id${i}`);
      const what = `cut at ${cut}, seed ${random.seed}`;
      expect(
        (await store.pools()).map(({ held }) => held.map(({ entry }) => entry.id)),
        what,
      ).toEqual([pods, pods]);
      expect(await reserved(store, 'a/new net1 idN', FOUR), what).toEqual([`10.0.0.${answered + 1}`]);
    }
  }, 600_000);

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
