import type { Clock } from '../clock.ts';

/** Time passes while somebody waits, and else not. */
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
