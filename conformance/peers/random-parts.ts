/** Parts of configurations made at random: mostly good, the same ones for the same seed. */
import type { Random } from '../lab/random.ts';

export type RandomDocument = Record<string, unknown>;

/** Values that no key wants. */
export const ODD: readonly unknown[] = [null, '', 'x', 0, 7, -1, 1.5, true, false, [], {}, [null], { a: null }];
const SAFE_ODD: readonly unknown[] = [null];

export function dnsOf(random: Random): RandomDocument {
  const parts: RandomDocument = {
    nameservers: ['10.0.0.53'],
    domain: 'a.example',
    search: ['a', 'b'],
    options: ['ndots:2', 'é<&>'],
  };
  return Object.fromEntries(random.some(Object.entries(parts), 0.5));
}

export function ipamOf(random: Random): RandomDocument {
  const routes = random.chance(0.6) ? { routes: Array.from({ length: random.below(4) }, () => routeOf(random)) } : {};
  if (random.chance(0.3)) {
    return {
      type: 'host-local',
      dataDir: '{store}',
      ranges: random.some([[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:1::/64' }]], 0.8),
      ...routes,
    };
  }
  const addresses = random.some(
    [
      { address: '10.1.2.3/24', gateway: '10.1.2.1' },
      { address: '10.1.3.3/25' },
      { address: '10.1.4.9/32' },
      { address: 'fd00:1::3/64', gateway: 'fd00:1::1' },
      { address: 'fd00:2::3/120' },
    ],
    0.45,
  );
  return { type: 'static', addresses, ...routes };
}

function routeOf(random: Random): RandomDocument {
  const route: RandomDocument = {
    dst: random.pick([
      '0.0.0.0/0',
      '10.8.0.0/16',
      '10.8.3.0/24',
      '192.0.2.7/32',
      '::/0',
      'fd08::/48',
      'fd08::7/128',
      '10.8.9.9/16',
    ]),
  };
  const options: RandomDocument = {
    gw: random.pick(['10.1.2.1', '10.1.2.2', 'fd00:1::9', '10.99.0.1']),
    table: random.pick([0, 100, 254, 1000]),
    priority: random.pick([0, 10, 4096]),
    scope: random.pick([0, 253]),
  };
  return { ...route, ...Object.fromEntries(random.some(Object.entries(options), 0.3)) };
}

/** Some keys in other letters, which mean the same. */
export function recased(random: Random, document: RandomDocument): RandomDocument {
  return Object.fromEntries(
    Object.entries(document).map(([key, value]) => [
      random.chance(0.08) && !['cniVersion', 'name', 'type', 'args'].includes(key)
        ? random.pick([key.toUpperCase(), key.toLowerCase()])
        : key,
      value,
    ]),
  );
}

/** Now and then one value is something else. */
export function spoilt(random: Random, document: RandomDocument): RandomDocument {
  if (!random.chance(0.3)) {
    return document;
  }
  const key = random.pick(Object.keys(document));
  return { ...document, [key]: random.pick(key === 'cniVersion' ? SAFE_ODD : ODD) };
}

export function shuffled(random: Random, document: RandomDocument): RandomDocument {
  const entries = Object.entries(document).map((entry) => ({ entry, order: random.next() }));
  return Object.fromEntries(entries.sort((a, b) => a.order - b.order).map(({ entry }) => entry));
}
