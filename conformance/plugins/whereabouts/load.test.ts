/** whereabouts under load, and what it remembers. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inParallel, mustRun } from '../../lab/execute.ts';
import { Lab, PARENT } from '../../lab/lab.ts';
import { GO, OURS, SCRIPT, STANDALONE } from '../../lab/programs.ts';
import { DUAL, databaseIn, RANGE, Store, withStore } from '../../lab/store.ts';

describe('whereabouts under load', () => {
  it(
    '64 processes at once get 64 different lowest addresses',
    withStore(DUAL, async (store) => {
      const given = await Promise.all(Array.from({ length: 64 }, (_, index) => store.add(`c${index}`)));
      const wanted = Array.from({ length: 64 }, (_, index) => index + 1);
      expect(given.map(([v4 = '']) => Number(/\.(\d+)\//.exec(v4)?.[1])).sort((a, b) => a - b)).toEqual(wanted);
      expect(
        given.map(([, v6 = '']) => Number.parseInt(/::(\w+)\//.exec(v6)?.[1] ?? '', 16)).sort((a, b) => a - b),
      ).toEqual(wanted);
    }),
  );

  it(
    '16 scripts and 16 standalone programs at once meet on the same lock',
    withStore(RANGE, async (store) => {
      const scripts = new Store(store.lab, RANGE, { ...OURS, bin: SCRIPT });
      const given = await Promise.all(
        Array.from({ length: 32 }, (_, index) => (index % 2 === 0 ? store : scripts).add(`c${index}`)),
      );
      expect(new Set(given.flat()).size).toBe(32);
    }),
  );

  it(
    'ADDs and DELs at once leave exactly what was not deleted',
    withStore(RANGE, async (store) => {
      await inParallel(
        Array.from({ length: 20 }, (_, index) => `old${index}`),
        4,
        async (id) => void (await store.add(id)),
      );
      const given: string[] = [];
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          await store.del(`old${index}`);
          given.push(...(await store.add(`new${index}`)));
        }),
      );
      expect(new Set(given).size).toBe(20);
      expect(given.every((address) => Number(/\.(\d+)\//.exec(address)?.[1]) <= 40)).toBe(true);
      expect(await store.add('last')).toEqual(['10.5.0.21/24']);
    }),
  );

  it(
    'a pool that was full and emptied many times is whole, and its log short',
    withStore({ range: '10.5.0.0/26' }, async (store) => {
      const ids = Array.from({ length: 62 }, (_, index) => `c${index}`);
      for (let round = 0; round < 2; round++) {
        await inParallel(ids, 3, async (id) => void (await store.add(id)));
        expect(await store.fails('ADD', 'more')).toMatchObject({ code: 999 });
        await inParallel(ids, 3, (id) => store.del(id));
      }
      expect(await store.add('last')).toEqual(['10.5.0.1/26']);
      expect(statSync(`${databaseIn(store.folder)}-wal`).size).toBeLessThan(600 * 1024);
    }),
  );
});

describe('braid ipam import', () => {
  it('takes over what host-local has given out', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const dataDir = lab.folder('host-local');
    const ipam = { type: 'host-local', dataDir, ranges: [[{ subnet: '10.5.0.0/24' }]] };
    const conf = { cniVersion: '1.0.0', name: 'net-a', type: 'macvlan', master: PARENT, ipam };
    for (const containerId of ['a', 'b']) {
      expect(
        await lab.call({ verb: 'ADD', plugin: 'host-local', conf, netns: pod.path, containerId }, GO),
      ).toMatchObject({ exitCode: 0 });
    }
    const store = new Store(lab, RANGE);
    const words = ['ipam', 'import', join(dataDir, 'net-a'), '--range', '10.5.0.0/24', '--data-dir', store.folder];
    await mustRun([join(STANDALONE, 'braid'), ...words]);
    expect(await store.add('c')).toEqual(['10.5.0.1/24']); // host-local begins with .2
    expect(await store.add('d')).toEqual(['10.5.0.4/24']);
    expect(await store.add('a')).toEqual(['10.5.0.2/24']);
    await store.del('b');
    expect(await store.add('e')).toEqual(['10.5.0.3/24']);
  });
});
