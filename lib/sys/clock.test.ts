import { describe, expect, it } from 'vitest';
import { clockOf, poll } from './clock.ts';
import { fakeClock } from './testing/fake-clock.ts';

const RHYTHM = { firstMs: 1, longestMs: 8 };

describe('poll', () => {
  it('looks at once, then after pauses that grow, until there is something', async () => {
    const slept: number[] = [];
    let looks = 0;
    const seen = await poll(
      fakeClock((ms) => void slept.push(ms)),
      1000,
      RHYTHM,
      () => (++looks === 7 ? looks : undefined),
    );
    expect([seen, slept]).toEqual([7, [1, 2, 4, 8, 8, 8]]);
  });

  it('gives up when the time is over, and looks once more then', async () => {
    const slept: number[] = [];
    let looks = 0;
    const seen = await poll(
      fakeClock((ms) => void slept.push(ms)),
      10,
      RHYTHM,
      async () => void looks++,
    );
    expect([seen, slept, looks]).toEqual([undefined, [1, 2, 4, 3], 5]);
  });

  it('counts the time that looking takes', async () => {
    let now = 0;
    const clock = {
      now: () => now,
      sleep: async (ms: number) => {
        now += ms;
      },
    };
    let looks = 0;
    await poll(clock, 100, RHYTHM, () => {
      looks++;
      now += 60;
      return undefined;
    });
    expect(looks).toBe(2);
  });
});

describe('the real clock', () => {
  it('waits until its signal fires, and not at all when it has', async () => {
    const caller = new AbortController();
    const { sleep } = clockOf(caller.signal);
    const waiting = sleep(1_000_000);
    caller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await expect(sleep(1_000_000)).rejects.toThrow('gone');
    await clockOf().sleep(1);
  });
});
