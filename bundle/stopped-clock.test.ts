import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { withoutTime } from './stopped-clock.ts';

const clocks = (): readonly number[] => [Date.now(), performance.now()];

describe('withoutTime', () => {
  it('keeps both clocks where they are, and lets no timer fire', async () => {
    const seen: unknown[] = [];
    await withoutTime(async () => {
      const before = clocks();
      const timers = [1, 2].map((ms) => setTimeout(() => seen.push(ms), ms));
      await sleep(10);
      seen.push(clocks().every((value, index) => value === before[index]));
      timers.forEach(clearTimeout);
    });
    expect(seen).toEqual([true]);
  });

  it.each([
    ['has ended', async () => undefined],
    ['has failed', async () => Promise.reject(new Error('so'))],
  ])('gives back clocks and timers when the work %s', async (_, work) => {
    const real = [setTimeout, Date.now, performance.now];
    await withoutTime(work).catch(() => undefined);
    expect([setTimeout, Date.now, performance.now]).toEqual(real);
    expect(Object.hasOwn(performance, 'now')).toBe(false);
  });
});
