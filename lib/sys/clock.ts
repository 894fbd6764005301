/** The clock of a call. */
export interface Clock {
  /** monotonic milliseconds */
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

/** Pauses between polls: the first, then doubled each time up to the longest. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * Polls until there is a result. The timeout includes the time that `look` takes.
 *
 * @returns undefined when there was none within `timeoutMs`
 * @throws what `look` throws
 */
export async function poll<T>(
  { now, sleep }: Clock,
  timeoutMs: number,
  { firstMs, longestMs }: Backoff,
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
