import { setTimeout as sleep } from 'node:timers/promises';
import { pauseAfter } from '../lab/pause.ts';

/** On a machine with far too much to do. */
const PATIENCE_MS = 120_000;

/** What is waited for can no longer come. */
export class GiveUp extends Error {
  override readonly name = 'GiveUp';
}

/**
 * Looks again and again until something is so.
 *
 * @param look what is waited for, or undefined while it is not so; may throw meanwhile
 * @throws Error with what was waited for, and why not, at the deadline; a GiveUp at once
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  deadlineMs = PATIENCE_MS,
): Promise<T> {
  const begin = performance.now();
  for (;;) {
    let reason = '';
    try {
      const found = await look();
      if (found !== undefined) {
        return found;
      }
    } catch (error) {
      if (error instanceof GiveUp) {
        throw error;
      }
      reason = `: ${error}`;
    }
    const waitedMs = performance.now() - begin;
    if (waitedMs > deadlineMs) {
      throw new Error(`waited ${deadlineMs} ms for ${what}${reason}`);
    }
    await sleep(pauseAfter(waitedMs));
  }
}
