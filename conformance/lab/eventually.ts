/** What the kernel finishes in its own time: routes and link-local addresses come when the carrier is there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { pauseAfter } from './pause.ts';
import { stateOf, unsettledIn } from './state.ts';

/** On a machine with far too much to do. */
const PATIENCE_MS = 50_000;

/** Looks again and again until it is so; fails with the difference when that takes too long. */
export async function eventually<T>(look: () => Promise<T>, expected: T, patienceMs = PATIENCE_MS): Promise<void> {
  const begin = performance.now();
  let now = await look();
  for (let waitedMs = 0; !isDeepStrictEqual(now, expected) && waitedMs < patienceMs; ) {
    await sleep(pauseAfter(waitedMs));
    now = await look();
    waitedMs = performance.now() - begin;
  }
  expect(now).toEqual(expected);
}

/**
 * Waits until links that are up have their link-local addresses, and what the kernel makes for these some time later: what
 * was not there before would show after.
 */
export const settled = (namespace: string, links: readonly string[]): Promise<void> =>
  eventually(async () => unsettledIn(await stateOf(namespace), links), []);
