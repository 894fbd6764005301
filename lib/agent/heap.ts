/** How large the heap of a process that serves calls may grow. */
import { setFlagsFromString } from 'node:v8';
import type { Crowd } from '../cni/serve.ts';

/** In percent of what the last collection has left. */
const QUIET_GROWTH = 25;
const CROWD_GROWTH = 75;

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
