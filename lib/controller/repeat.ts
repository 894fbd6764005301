import { messageOf } from '../cni/errors.ts';
import type { Clock } from '../sys/clock.ts';

export interface Repetition extends Clock {
  readonly signal: AbortSignal;
  log(line: string): void;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** A time around this one, so that what failed together does not come back together. */
export const jittered = (ms: number): number => Math.round(ms * (0.75 + Math.random() / 2));

/** Pauses after failures: each twice as long as the one before, and about as long. */
export const backoffMs = (failures: number, firstMs = FIRST_PAUSE_MS, longestMs = LONGEST_PAUSE_MS): number =>
  jittered(Math.min(firstMs * 2 ** Math.min(failures - 1, 30), longestMs));

/**
 * Does work again and again, until the signal fires. A failure is logged, and followed by a pause of its own.
 *
 * @param work returns how long to wait before it is done again
 */
export async function repeat(
  { signal, sleep, log }: Repetition,
  what: string,
  work: () => Promise<number>,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    let pauseMs: number;
    try {
      pauseMs = await work();
      failures = 0;
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      failures++;
      pauseMs = backoffMs(failures);
      log(`${what}: ${messageOf(error)}; next try in ${Math.ceil(pauseMs / 1000)} s`);
    }
    await quietly(sleep(pauseMs), signal);
  }
}

/** Waits for what the signal may end. */
export async function quietly(waiting: Promise<unknown>, signal: AbortSignal): Promise<void> {
  try {
    await waiting;
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}
