import type { PartHost } from '../../../lib/controller/part.ts';

/**
 * Milliseconds of an option in seconds.
 *
 * @throws Error when it is no number
 */
export function secondsIn(options: PartHost['options'], name: string): number | undefined {
  const text = options[name];
  if (text === undefined) {
    return undefined;
  }
  const seconds = typeof text === 'string' && /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (seconds === 0) {
    throw new Error(`option "--${name}" needs a number of seconds, not "${text}"`);
  }
  return seconds * 1000;
}
