import { describe, expect, it } from 'vitest';
import { Gatherer } from './gather.ts';

describe('Gatherer', () => {
  it('does together what is asked for at the same time, one key apart from another', async () => {
    const gatherer = new Gatherer();
    const calls: number[][] = [];
    const double = async (items: readonly number[]) => {
      calls.push([...items]);
      return Promise.allSettled(items.map(async (item) => item * 2));
    };
    const first = Promise.all([1, 2, 3].map((item) => gatherer.gather('a', item, double)));
    const other = gatherer.gather('b', 9, double);
    expect([await first, await other]).toEqual([[2, 4, 6], 18]);
    expect(await gatherer.gather('a', 4, double)).toBe(8);
    expect(calls).toEqual([[1, 2, 3], [9], [4]]);
  });

  it('does together what comes while the same is done for others', async () => {
    const gatherer = new Gatherer();
    const calls: number[][] = [];
    const slow = async (items: readonly number[]) => {
      calls.push([...items]);
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      return Promise.allSettled(items);
    };
    const first = gatherer.gather('a', 1, slow);
    await new Promise(setImmediate);
    const second = gatherer.gather('a', 2, slow);
    await new Promise(setImmediate);
    const third = gatherer.gather('a', 3, slow);
    expect(await Promise.all([first, second, third])).toEqual([1, 2, 3]);
    expect(calls).toEqual([[1], [2, 3]]);
    expect(await gatherer.gather('a', 4, slow)).toBe(4);
  });

  it('gives each its own failure, and all the same when the work as a whole fails', async () => {
    const gatherer = new Gatherer();
    const odd = (items: readonly number[]) =>
      Promise.allSettled(items.map((item) => (item % 2 === 1 ? Promise.reject(new Error(`odd ${item}`)) : item)));
    const outcomes = await Promise.allSettled([1, 2].map((item) => gatherer.gather('a', item, odd)));
    expect(outcomes).toMatchObject([{ reason: { message: 'odd 1' } }, { value: 2 }]);
    const broken = () => Promise.reject(new Error('all'));
    const all = await Promise.allSettled([1, 2].map((item) => gatherer.gather('a', item, broken)));
    expect(all).toMatchObject([{ reason: { message: 'all' } }, { reason: { message: 'all' } }]);
  });
});
