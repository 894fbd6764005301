import { setTimeout as sleep } from 'node:timers/promises';

/** The emulated machine is some ten times slower than the one it runs on, which may have far too much to do. */
const TIMEOUT_MS = 90_000;
const INTERVAL_MS = 50;

/**
 * Waits for something to come about, looking again and again.
 *
 * @param what the sentence that the error says: `the VF "vf0" has carrier`
 * @param look returns what there is, or undefined or false when it is not there yet
 * @throws Error when it did not come about in time
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = TIMEOUT_MS,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) {
      return found;
    }
    if (performance.now() > deadline) {
      throw new Error(`this did not come about within ${timeoutMs} ms: ${what}`);
    }
    await sleep(INTERVAL_MS);
  }
}
