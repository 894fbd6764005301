import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { type OpenDatabase, openDatabase } from '../../../lib/sys/database.ts';
import { seeded } from '../../../lib/sys/testing/seeded.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { rangesOf, reserved, storeHost, storeIn } from '../testing/fixtures.ts';
import {
  ALL,
  add,
  BOTH,
  DATABASE,
  FOUR,
  fileIn,
  filesIn,
  LOG,
  next,
  restore,
  sequenceOf,
} from '../testing/store-files.ts';

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

  it('reads no table whole to give, find or take back an address', async () => {
    using folder = temporaryFolder(true);
    const asked = new Set<string>();
    const open: OpenDatabase = async (path) => {
      const database = await openDatabase(path);
      return { ...database, exec: (sql) => database.exec(sql), close: () => database.close(), prepare };
      function prepare(sql: string) {
        asked.add(sql);
        return database.prepare(sql);
      }
    };
    const store = storeIn(folder.path, fakeScope({ node: { openDatabase: open } }));
    const ranges = rangesOf({ range: '10.0.0.0/24', exclude: ['10.0.0.2'] }, 'fd00::/64');
    for (const who of ['a/a net1 idA', 'a/b net1 idB', 'a/c net1 idC', 'a/b net1 idD', 'a/a net1 idA']) {
      await reserved(store, who, ranges);
    }
    expect(await store.find({ id: 'idA', ifname: 'net1' }, ranges)).not.toContain(undefined);
    expect(await store.release({ id: 'idC', ifname: 'net1' })).toHaveLength(2);
    const database = await openDatabase(fileIn(folder.path, DATABASE));
    const steps = [...asked].flatMap((sql) =>
      /^(SELECT|UPDATE|DELETE)/.test(sql)
        ? database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...Array(sql.split('?').length - 1).fill('x'))
        : [],
    );
    database.close();
    const texts = new Set(steps.map(({ detail }) => String(detail)));
    expect([...texts].filter((text) => !/^SEARCH (reservation|free) USING (INDEX|PRIMARY KEY)/.test(text))).toEqual([
      'SCAN store', // it has one row
    ]);
    expect(texts.size).toBeGreaterThan(4);
  });

  it('does over 3,000 calls of several processes, some of them ended, what a list does', async () => {
    using folder = temporaryFolder(true);
    const random = seeded();
    const small = rangesOf('10.0.0.0/26');
    const held = new Map<string, number>();
    const hosts = Array.from({ length: 3 }, () => storeHost());
    for (let round = 0; round < 3000; round++) {
      const at = random.below(hosts.length);
      if (random.below(40) === 0) {
        hosts[at]?.[Symbol.dispose]();
        hosts[at] = storeHost();
      }
      const store = storeIn(folder.path, hosts[at]);
      const id = `id${random.below(70)}`;
      const what = `seed ${random.seed}, round ${round}`;
      if (random.below(3) === 0) {
        const freed = await store.release({ id, ifname: 'net1' });
        expect(freed.length, what).toBe(held.delete(id) ? 1 : 0);
        continue;
      }
      const taken = new Set(held.values());
      const lowest = Array.from({ length: 62 }, (_, index) => index + 1).find((value) => !taken.has(value));
      const wanted = held.get(id) ?? lowest;
      const given = await reserved(store, `a/${id} net1 ${id}`, small).catch(({ code }) => [`code ${code}`]);
      expect(given, what).toEqual([wanted === undefined ? 'code 999' : `10.0.0.${wanted}`]);
      if (wanted !== undefined) {
        held.set(id, wanted);
      }
    }
    for (const host of hosts) {
      host[Symbol.dispose]();
    }
    await next(folder.path, (store) => store.inspect());
  });

  it('gives 128 pods 16 addresses each at once, and takes them back, in few transactions', async () => {
    using folder = temporaryFolder(true);
    using host = storeHost();
    const store = storeIn(folder.path, host);
    const pods = Array.from({ length: 128 }, (_, pod) => `id${pod}`);
    const nets = Array.from({ length: 16 }, (_, net) => ({
      ifname: `net${net}`,
      ranges: rangesOf(`10.${net}.0.0/16`),
    }));
    const all = pods.flatMap((id) => nets.map((net) => ({ id, ...net })));
    const given = await Promise.all(
      all.map(({ id, ifname, ranges }) => reserved(store, `a/${id} ${ifname} ${id}`, ranges)),
    );
    expect(new Set(given.flat()).size).toBe(2048);
    expect(given.flat()).toContain('10.15.0.128');
    expect(sequenceOf(folder.path)).toBeLessThanOrEqual(17);
    await store.inspect();
    const freed = await Promise.all(all.map(({ id, ifname }) => store.release({ id, ifname })));
    expect(freed.flat()).toHaveLength(2048);
    expect(sequenceOf(folder.path)).toBeLessThanOrEqual(34);
    expect(await store.pools()).toEqual([]);
    await store.inspect();
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
