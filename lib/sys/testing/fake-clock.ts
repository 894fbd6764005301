import type { Clock } from '../clock.ts';

/** A clock that advances only during waits. */
export function fakeClock(onSleep: (ms: number) => void | Promise<void> = () => undefined): Clock {
  let now = 0;
  return {
    now: () => now,
    sleep: async (ms) => {
      now += ms;
      await onSleep(ms);
    },
  };
}
