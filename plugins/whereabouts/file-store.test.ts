import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { seeded } from '../../lib/sys/testing/seeded.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { rangesOf, reserved, storeIn } from './testing/fixtures.ts';

const BOTH = rangesOf('10.0.0.0/24', 'fd00::/64');

describe('the file store', () => {
  it('keeps what it gave, over separate calls', async () => {
    using folder = temporaryFolder();
    expect(await reserved(storeIn(folder.path), 'a/a net1 idA', BOTH)).toEqual(['10.0.0.1', 'fd00::1']);
    expect(await reserved(storeIn(folder.path), 'a/b net1 idB', BOTH)).toEqual(['10.0.0.2', 'fd00::2']);
    expect(await reserved(storeIn(folder.path), 'a/a net1 idA', BOTH)).toEqual(['10.0.0.1', 'fd00::1']);
    await storeIn(folder.path).release({ id: 'idA', ifname: 'net1' });
    expect(await reserved(storeIn(folder.path), 'a/c net1 idC', BOTH)).toEqual(['10.0.0.1', 'fd00::1']);
  });

  it('writes one record for several ranges', async () => {
    using folder = temporaryFolder();
    await reserved(storeIn(folder.path), 'a/a net1 idA', BOTH);
    const record = JSON.parse(
      readFileSync(join(folder.path, '_', 'journal'))
        .subarray(8)
        .toString('utf8'),
    );
    const v = { id: 'idA', podref: 'a/a', ifname: 'net1', network: 'net-a' };
    expect(record).toEqual({
      seq: 1,
      ops: [
        { range: '10.0.0.0/24', op: 'add', k: '1', v },
        { range: 'fd00::/64', op: 'add', k: '1', v },
      ],
    });
  });

  it('writes nothing when the second range is full', async () => {
    using folder = temporaryFolder();
    const ranges = rangesOf('10.0.0.0/24', '10.1.0.0/30');
    await reserved(storeIn(folder.path), 'a/a net1 idA', ranges);
    await reserved(storeIn(folder.path), 'a/b net1 idB', ranges);
    const before = readFileSync(join(folder.path, '_', 'journal'));
    await expect(reserved(storeIn(folder.path), 'a/c net1 idC', ranges)).rejects.toThrow('ip: 10.1.0.1 / - 10.1.0.2');
    expect(readFileSync(join(folder.path, '_', 'journal'))).toEqual(before);
    expect(await reserved(storeIn(folder.path), 'a/d net1 idD', rangesOf('10.0.0.0/24'))).toEqual(['10.0.0.3']);
  });

  it('creates nothing to read, free or collect', async () => {
    using folder = temporaryFolder();
    const store = storeIn(join(folder.path, 'data'));
    expect(await store.release({ id: 'id', ifname: 'net1' })).toEqual([]);
    expect(await store.collect('net-a', BOTH, [])).toEqual([]);
    expect(await store.find({ id: 'id', ifname: 'net1' }, BOTH)).toEqual([undefined, undefined]);
    await store.probe();
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it('keeps every confirmed reservation when the journal is cut at any byte after it', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, '_', 'journal');
    const ends: number[] = [];
    for (let i = 0; i < 3; i++) {
      await reserved(storeIn(folder.path), `a/p${i} net1 id${i}`, BOTH);
      ends.push(readFileSync(path).length);
    }
    const whole = readFileSync(path);
    for (let cut = 0; cut <= whole.length; cut++) {
      writeFileSync(path, whole.subarray(0, cut));
      const confirmed = ends.filter((end) => end <= cut).length;
      const next = `10.0.0.${confirmed + 1}`;
      expect(await reserved(storeIn(folder.path), 'a/new net1 idN', rangesOf('10.0.0.0/24')), `cut at ${cut}`).toEqual([
        next,
      ]);
      for (let i = 0; i < confirmed; i++) {
        expect((await storeIn(folder.path).find({ id: `id${i}`, ifname: 'net1' }, BOTH)).includes(undefined)).toBe(
          false,
        );
      }
    }
  });

  it('does the same as a plain model in 600 random calls', async () => {
    using folder = temporaryFolder();
    const random = seeded();
    const ranges = [rangesOf('10.0.0.0/25'), rangesOf('10.0.0.0/24'), rangesOf('10.0.1.0/26', '10.0.0.64/26'), BOTH];
    const held = new Map<string, readonly string[]>();
    for (let round = 0; round < 600; round++) {
      const [pod, ifname] = [random.below(12), `net${random.below(3)}`];
      const [who, what] = [`a/p${pod} ${ifname} id${pod}`, `seed ${random.seed}, round ${round}`];
      if (random.below(3) === 0) {
        const freed = await storeIn(folder.path).release({ id: `id${pod}`, ifname });
        expect(freed.length, what).toBe(held.get(who)?.length ?? 0);
        held.delete(who);
      } else if (!held.has(who)) {
        const given = await reserved(storeIn(folder.path), who, random.pick(ranges));
        const taken = new Set([...held.values()].flat());
        expect(
          given.filter((ip) => taken.has(ip)),
          what,
        ).toEqual([]);
        expect(new Set(given).size, what).toBe(given.length);
        held.set(who, given);
      }
    }
  });
});
