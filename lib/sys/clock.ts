/** How a call tells the time, and waits. */
export interface Clock {
  /** milliseconds, never set back */
  now(): number;
  /** @throws the reason of the signal that ends the wait */
  sleep(ms: number): Promise<void>;
}

/** The real one. */
export const clockOf = (signal?: AbortSignal): Clock => ({
  now: () => performance.now(),
  sleep: (ms) => sleep(ms, signal),
});

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** How often somebody looks: first after so long, then after twice as long each time, up to the longest pause. */
export interface Rhythm {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * Looks again and again until there is something to see. Time counts by the clock: a look may take long, too.
 *
 * @returns undefined when there was nothing until `timeoutMs` were over
 * @throws what `look` throws
 */
export async function poll<T>(
  { now, sleep }: Clock,
  timeoutMs: number,
  { firstMs, longestMs }: Rhythm,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T | undefined> {
  const end = now() + timeoutMs;
  for (let pause = firstMs; ; pause = Math.min(pause * 2, longestMs)) {
    const seen = await look();
    const left = end - now();
    if (seen !== undefined || left <= 0) {
      return seen;
    }
    await sleep(Math.min(pause, left));
  }
}
