/** How large the heap of a process that serves calls may grow. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import type { Crowd } from '../cni/serve.ts';

const MB = 2 ** 20;
/** More rounds would not help. */
const MOST_ROUNDS = 64;
const OBJECTS = 20_000;

/** In percent of what the last collection has left. */
const QUIET_GROWTH = 25;
const CROWD_GROWTH = 75;

const newSpaceBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;

/**
 * Has V8 keep its young generation at about this size. By itself it lets it grow to some 60 MB, and never gives that back;
 * the option that bounds it counts before the heap is made, which is when a single call begins.
 */
export function boundYoungGeneration(bytes = 8 * MB): void {
  for (let round = 0, kept: object[] = []; newSpaceBytes() < bytes && round < MOST_ROUNDS; round++) {
    kept = Array.from({ length: OBJECTS }, (_, at) => ({ at, kept: kept.length })); // what survives makes it grow
  }
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Has V8 collect what has grown old when that is a quarter more than the last collection has left. By itself it waits for up
 * to four times as much in a heap as small as an agent's.
 *
 * While calls wait for others it may be three quarters more: all that is served then lives for long, and would be looked through
 * again and again.
 */
export function boundOldGeneration(grow: (percent: number) => void = growOld): Crowd {
  let calls = 0;
  let isCrowded = false;
  const set = (next: boolean): void => {
    if (next !== isCrowded) {
      isCrowded = next;
      grow(next ? CROWD_GROWTH : QUIET_GROWTH);
    }
  };
  grow(QUIET_GROWTH);
  return {
    came: (isWaiting) => {
      calls++;
      set(isCrowded || isWaiting);
    },
    left: () => {
      calls--;
      set(isCrowded && calls > 0);
    },
  };
}

const growOld = (percent: number): void => setFlagsFromString(`--heap-growing-percent=${percent}`);
