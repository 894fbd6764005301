/** Blocks the whole process without using the processor. */
export function pause(ms: number): void {
  const unchanged = new Int32Array(new SharedArrayBuffer(4)); // not at module level: a heap snapshot cannot contain it
  Atomics.wait(unchanged, 0, 0, ms);
}

const LONGEST_PAUSE_MS = 16;

/**
 * Retries for as long as a non-blocking descriptor returns EAGAIN.
 *
 * @throws any other system error
 */
export function retryWhenReady<T>(work: () => T): T {
  for (let ms = 1; ; ms = Math.min(ms * 2, LONGEST_PAUSE_MS)) {
    try {
      return work();
    } catch (error) {
      if (!isAgain(error)) {
        throw error;
      }
    }
    pause(ms);
  }
}

export const isAgain = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EAGAIN';
