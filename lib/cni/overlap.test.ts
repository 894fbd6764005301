import { describe, expect, it } from 'vitest';
import { Joiner } from '../sys/joiner.ts';
import { overlap, type Task } from './overlap.ts';
import { fakeScope } from './testing/fake-scope.ts';

/** Tells each of a round who was in it. */
const ROUNDS = {
  make: () => ({
    joiner: new Joiner<string, string>(async (names) =>
      names.map(() => ({ status: 'fulfilled' as const, value: names.join('+') })),
    ),
    [Symbol.dispose]: () => {},
  }),
};

/** Notes begin, what it shared and end; `slow` reads something before it waits. */
const task =
  (name: string, notes: string[], { slow = false, fails = false } = {}): Task<string> =>
  async (scope) => {
    notes.push(`${name} begins`);
    if (slow) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (fails) {
      throw new Error(name);
    }
    notes.push(`${name} waits`);
    const together = await scope.join(scope.node.shared(ROUNDS).joiner, name);
    notes.push(`${name} ends`);
    return together;
  };

describe('overlap', () => {
  it('lets tasks wait together, begun in order', async () => {
    const notes: string[] = [];
    const outcomes = await overlap(
      fakeScope(),
      ['a', 'b', 'c'].map((name) => task(name, notes)),
    );
    expect(outcomes).toEqual(['a', 'b', 'c'].map(() => ({ status: 'fulfilled', value: 'a+b+c' })));
    expect(notes).toEqual([
      ...['a begins', 'a waits', 'b begins', 'b waits', 'c begins', 'c waits'],
      ...['a ends', 'b ends', 'c ends'],
    ]);
  });

  it('starts none before the one before has come to its first wait', async () => {
    const notes: string[] = [];
    await overlap(fakeScope(), [task('a', notes, { slow: true }), task('b', notes)]);
    expect(notes.indexOf('a waits')).toBeLessThan(notes.indexOf('b begins'));
  });

  it('starts none after a failure, and ends what was begun', async () => {
    const notes: string[] = [];
    const outcomes = await overlap(fakeScope(), [
      task('a', notes),
      task('b', notes, { fails: true }),
      task('c', notes),
    ]);
    expect(outcomes).toMatchObject([{ value: 'a' }, { reason: { message: 'b' } }]);
    expect(notes).toEqual(['a begins', 'a waits', 'b begins', 'a ends']);
  });

  it('counts a sleep as a wait', async () => {
    const notes: string[] = [];
    const sleeper: Task<void> = async (scope) => {
      notes.push('begins');
      await scope.sleep(5);
      notes.push('ends');
    };
    await overlap(fakeScope(), [sleeper, sleeper]);
    expect(notes).toEqual(['begins', 'begins', 'ends', 'ends']);
  });
});
