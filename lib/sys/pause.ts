/** Stops the whole process for a while, without using the processor. */
export function pause(ms: number): void {
  const unchanged = new Int32Array(new SharedArrayBuffer(4)); // not in the module: no snapshot of the heap takes it
  Atomics.wait(unchanged, 0, 0, ms);
}

const LONGEST_PAUSE_MS = 16;

/**
 * Repeats what a non-blocking descriptor refuses for now (EAGAIN), for as long as it takes.
 *
 * @throws the system's error, when it is another one
 */
export function untilReady<T>(work: () => T): T {
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
