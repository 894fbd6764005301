/** What the kernel finishes in its own time: routes and link-local addresses come when the carrier is there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { mustRun } from './execute.ts';
import { pauseAfter } from './pause.ts';
import { type Entry, type NetnsState, stateOf } from './state.ts';

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
  eventually(async () => unsettledOf(await stateOf(namespace), links), []);

/** The same of all links, but for those that have no IPv6: these are waited for a moment. */
export async function allSettled(namespace: string): Promise<void> {
  const begin = performance.now();
  for (;;) {
    const text = await mustRun(['ip', '-n', namespace, '-j', '-d', 'link']);
    const links = (JSON.parse(text) as readonly Entry[]).filter(isUp).map(({ ifname }) => String(ifname));
    const waitedMs = performance.now() - begin;
    if (unsettledOf(await stateOf(namespace), links).length === 0 || waitedMs > MOMENT_MS) {
      return;
    }
    await sleep(pauseAfter(waitedMs));
  }
}

const MOMENT_MS = 3_000;

/** Those of links that lack their link-local address, its route or that of multicast. */
function unsettledOf({ addresses, routes }: NetnsState, links: readonly string[]): readonly string[] {
  const ofAddress = (link: string): boolean =>
    routes.some(({ dev, dst, type }) => dev === link && type === 'local' && String(dst).startsWith('fe80:'));
  const ofMulticast = (link: string): boolean => routes.some(({ dev, dst }) => dev === link && dst === 'ff00::/8');
  const hasAddress = (link: string): boolean => addresses.some((address) => isLinkLocalOf(address, link));
  return links.filter((link) => !(hasAddress(link) && ofAddress(link) && ofMulticast(link)));
}

const isLinkLocalOf = ({ ifname, family, scope }: Entry, name: string): boolean =>
  ifname === name && family === 'inet6' && scope === 'link';

const isUp = ({ flags, link_type: type, inet6_addr_gen_mode: mode }: Entry): boolean =>
  ['UP', 'LOWER_UP'].every((flag) => (flags as readonly string[]).includes(flag)) &&
  type !== 'loopback' &&
  mode !== 'none';
