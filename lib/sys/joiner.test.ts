import { describe, expect, it } from 'vitest';
import type { BatchWork } from './gather.ts';
import { Joiner } from './joiner.ts';

/** Rounds that end when they are told to. */
function gated() {
  const rounds: (readonly number[])[] = [];
  const gates: (() => void)[] = [];
  const work: BatchWork<number, number> = async (items) => {
    rounds.push(items);
    await new Promise<void>((resolve) => gates.push(resolve));
    return items.map((item) =>
      item < 0 ? { status: 'rejected', reason: new Error(`no ${item}`) } : { status: 'fulfilled', value: item * 2 },
    );
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const end = async () => {
    await turn();
    gates.shift()?.();
    await turn();
    await turn();
  };
  return { rounds, work, turn, end };
}

describe('Joiner', () => {
  it('serves what is asked for in one turn as one round', async () => {
    const { rounds, work, end } = gated();
    const joiner = new Joiner(work);
    const answers = Promise.all([joiner.join(1), joiner.join(2)]);
    await end();
    expect(await answers).toEqual([2, 4]);
    expect(rounds).toEqual([[1, 2]]);
  });

  it('puts all that comes while a round is at work into the next, in order', async () => {
    const { rounds, work, turn, end } = gated();
    const joiner = new Joiner(work);
    const first = joiner.join(1);
    await turn();
    const later: Promise<number>[] = [];
    for (const item of [2, 3, 4]) {
      later.push(joiner.join(item));
      await turn();
    }
    expect(rounds).toEqual([[1]]);
    await end();
    expect(await first).toBe(2);
    await end();
    expect(await Promise.all(later)).toEqual([4, 6, 8]);
    expect(rounds).toEqual([[1], [2, 3, 4]]);
  });

  it('never runs two rounds at a time, and none larger than its limit', async () => {
    let [running, most] = [0, 0];
    const rounds: number[] = [];
    const joiner = new Joiner<number, number>(async (items) => {
      most = Math.max(most, ++running);
      rounds.push(items.length);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
      return items.map((value) => ({ status: 'fulfilled', value }));
    }, 4);
    const all = Array.from({ length: 10 }, (_, item) => item);
    expect(await Promise.all(all.map((item) => joiner.join(item)))).toEqual(all);
    expect([rounds, most]).toEqual([[4, 4, 2], 1]);
  });

  it('fails the one whose outcome is a failure, and all of a round that throws; the next round goes on', async () => {
    const { work, end } = gated();
    const joiner = new Joiner(work);
    const outcomes = Promise.allSettled([joiner.join(1), joiner.join(-1)]);
    await end();
    expect(await outcomes).toMatchObject([{ value: 2 }, { reason: { message: 'no -1' } }]);
    let isBroken = true;
    const shaky = new Joiner<number, number>(async (items) => {
      if (isBroken) {
        throw new Error('broken');
      }
      return items.map((value) => ({ status: 'fulfilled', value }));
    });
    await expect(Promise.all([shaky.join(1), shaky.join(2)])).rejects.toThrow('broken');
    isBroken = false;
    expect(await shaky.join(3)).toBe(3);
  });
});
