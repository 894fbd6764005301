import { describe, expect, it } from 'vitest';
import { lowestFree, type Range } from '../../../lib/net/range.ts';
import { openDatabase } from '../../../lib/sys/database.ts';
import { seeded } from '../../../lib/sys/testing/seeded.ts';
import { Connection } from './connection.ts';
import { FreeRuns } from './free-runs.ts';

async function runs(family: 4 | 6 = 4) {
  const store = await Connection.open(':memory:', openDatabase);
  store.makeTables();
  const list = () => store.all('SELECT first, last FROM free').map(({ first, last }) => `${first}-${last}`);
  return { store, free: new FreeRuns(store, '', '10.0.0.0/24', family), list };
}

const window = (first: bigint, last: bigint): Range => ({ family: 4, first, last });

describe('FreeRuns', () => {
  it('splits a run that an address is taken from, and joins what is given back', async () => {
    const { free, list } = await runs();
    free.take(5n);
    free.take(6n);
    expect(list()).toEqual(['4:00000000-4:00000004', '4:00000007-4:ffffffff']);
    free.take(9n);
    free.give(5n);
    expect(list()).toEqual(['4:00000000-4:00000005', '4:00000007-4:00000008', '4:0000000a-4:ffffffff']);
    free.give(6n);
    free.give(9n);
    expect(list()).toEqual([]);
  });

  it('reaches to both ends of a family, and keeps families apart', async () => {
    const { store, free, list } = await runs(6);
    const last = (1n << 128n) - 1n;
    const four = new FreeRuns(store, '', '10.0.0.0/24', 4);
    four.take(0n);
    four.take(0xffff_ffffn);
    free.take(0n);
    free.take(last);
    expect(list()).toHaveLength(2);
    expect(free.lowest({ family: 6, first: 0n, last }, [], [])).toBe(1n);
    expect(four.lowest(window(0xffff_ffffn, 0xffff_ffffn), [], [])).toBeUndefined();
    for (const [one, value] of [
      [four, 0n],
      [four, 0xffff_ffffn],
      [free, 0n],
      [free, last],
    ] as const) {
      one.give(value);
    }
    expect(list()).toEqual([]);
  });

  it('refuses what contradicts itself', async () => {
    const { free } = await runs();
    free.take(5n);
    expect(free.take(5n)).toBe(false);
    expect(() => free.give(6n)).toThrow('address 4:00000006 is held and free');
  });

  it('refuses a row that is not what was written', async () => {
    const { store, free } = await runs();
    free.take(5n);
    store.exec("UPDATE free SET last = '4:00000009' WHERE first = '4:00000000'");
    expect(() => free.lowest(window(1n, 100n), [], [])).toThrow('does not match its checksum');
  });

  it('finds what a walk through all addresses finds, 5,000 times', async () => {
    const { free, list } = await runs();
    const random = seeded();
    const taken = new Set<bigint>();
    const pick = () => BigInt(random.below(120));
    for (let round = 0; round < 5000; round++) {
      const value = pick();
      if (taken.delete(value)) {
        free.give(value);
      } else {
        free.take(value);
        taken.add(value);
      }
      const [a, b] = [pick(), pick()];
      const where = a < b ? window(a, b) : window(b, a);
      const excluded = Array.from({ length: random.below(4) }, () => window(pick(), pick()));
      const besides = Array.from({ length: random.below(3) }, () => ({ family: 4 as const, value: pick() }));
      const isTaken = (one: bigint) => taken.has(one) || besides.some((other) => other.value === one);
      expect(free.lowest(where, excluded, besides), `seed ${random.seed}, round ${round}`).toBe(
        lowestFree(where, excluded, isTaken),
      );
    }
    for (const value of taken) {
      free.give(value);
    }
    expect(list()).toEqual([]);
  });
});
