import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

const MB = 2 ** 20;
/** More rounds would not help. */
const MOST_ROUNDS = 64;
const OBJECTS = 20_000;

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
 */
export const boundOldGeneration = (): void => setFlagsFromString('--heap-growing-percent=25');
