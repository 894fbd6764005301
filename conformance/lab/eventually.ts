/** What the kernel finishes in its own time: routes and link-local addresses come when the carrier is there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { type Entry, stateOf } from './state.ts';

/** On a machine with far too much to do. */
const PATIENCE_MS = 20_000;
const PAUSE_MS = 20;

/** Looks again and again until it is so; fails with the difference when that takes too long. */
export async function eventually<T>(look: () => Promise<T>, expected: T, patienceMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs;
  let now = await look();
  while (!isDeepStrictEqual(now, expected) && performance.now() < deadline) {
    await sleep(PAUSE_MS);
    now = await look();
  }
  expect(now).toEqual(expected);
}

/** Waits until links that are up have their link-local addresses: what was not there before would show after. */
export const settled = (namespace: string, links: readonly string[]): Promise<void> =>
  eventually(async () => {
    const { addresses } = await stateOf(namespace);
    return links.filter((name) => !addresses.some((address) => isLinkLocalOf(address, name)));
  }, []);

const isLinkLocalOf = ({ ifname, family, scope }: Entry, name: string): boolean =>
  ifname === name && family === 'inet6' && scope === 'link';
