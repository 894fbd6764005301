/** Configurations of macvlan made at random: mostly good, sometimes with a fault, the same ones for the same seed. */

import { PARENT } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import type { Case } from '../../peers/compare.ts';

type Document = Record<string, unknown>;

const MACS = ['02:5e:00:00:00:07', '06:00:00:aa:bb:cc', '0A-00-00-00-00-01', '0e00.0000.0002'];
const ODD: readonly unknown[] = [null, '', 'x', 0, 7, -1, 1.5, true, false, [], {}, [null], { a: null }];
const SAFE_ODD: readonly unknown[] = [null];

/** `BRAID_SEED` and `BRAID_RANDOM_CASES` choose others. */
export function randomMacvlanCases(): readonly Case[] {
  return Array.from({ length: countOf(120) }, (_, index) => {
    const random = new Random(SEED + index * 7919);
    const version = random.pick(VERSIONS);
    const conf = spoilt(random, recased(random, documentOf(random, version)));
    const call = callOf(random);
    const macs = MACS.map((mac) => canonical(mac));
    return {
      title: `${index}: ${JSON.stringify(conf)} ${JSON.stringify(call)}`.slice(0, 400),
      plugin: 'macvlan',
      conf,
      call,
      macs,
      ...(random.chance(0.1) ? { verbs: ['ADD', 'ADD', 'DEL', 'DEL'] } : {}),
    };
  });
}

function documentOf(random: Random, version: string): Document {
  const document: Document = { cniVersion: version, name: random.pick(['a', 'net-a', 'Net.1_x']), type: 'macvlan' };
  if (!random.chance(0.04)) {
    document['master'] = random.chance(0.04) ? 'absent0' : PARENT;
  }
  const options: readonly (readonly [string, () => unknown])[] = [
    ['mode', () => random.pick(['bridge', 'private', 'vepa', 'passthru', ''])],
    ['mtu', () => random.pick([0, 68, 576, 1280, 1400, 1500, 1501])],
    ['mac', () => random.pick(MACS)],
    ['bcqueuelen', () => random.pick([0, 1, 500, 2000])],
    ['linkInContainer', () => false],
    ['dns', () => dnsOf(random)],
    ['runtimeConfig', () => random.pick([{ mac: random.pick(MACS) }, {}, { ips: ['10.9.9.9/24'] }])],
    ['capabilities', () => ({ mac: true })],
    ['unknown', () => random.pick(ODD)],
    ['args', () => ({ cni: random.pick([{}, { ips: ['10.1.2.99/24'] }]) })],
  ];
  for (const [key, value] of random.some(options, 0.3)) {
    document[key] = value();
  }
  if (!random.chance(0.15)) {
    document['ipam'] = ipamOf(random);
  }
  return shuffled(random, document);
}

function dnsOf(random: Random): Document {
  const parts: Document = {
    nameservers: ['10.0.0.53'],
    domain: 'a.example',
    search: ['a', 'b'],
    options: ['ndots:2', 'é<&>'],
  };
  return Object.fromEntries(random.some(Object.entries(parts), 0.5));
}

function ipamOf(random: Random): Document {
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

function routeOf(random: Random): Document {
  const route: Document = {
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
  const options: Document = {
    gw: random.pick(['10.1.2.1', '10.1.2.2', 'fd00:1::9', '10.99.0.1']),
    table: random.pick([0, 100, 254, 1000]),
    priority: random.pick([0, 10, 4096]),
    scope: random.pick([0, 253]),
  };
  return { ...route, ...Object.fromEntries(random.some(Object.entries(options), 0.3)) };
}

function callOf(random: Random): NonNullable<Case['call']> {
  return {
    ifName: random.pick(['net1', 'eth0', 'eth0.5', 'abcdefghijklmno']),
    containerId: random.pick(['c1', 'C.1_2-3']),
    ...(random.chance(0.3)
      ? {
          args: random.pick([
            'IgnoreUnknown=1',
            `IgnoreUnknown=1;MAC=${random.pick(MACS)}`,
            `MAC=${random.pick(MACS)}`,
            'IgnoreUnknown=1;K8S_POD_NAME=p;K8S_POD_NAMESPACE=n',
            'A=b',
            'IgnoreUnknown=x',
          ]),
        }
      : {}),
  };
}

/** Some keys in other letters, which mean the same. */
function recased(random: Random, document: Document): Document {
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
function spoilt(random: Random, document: Document): Document {
  if (!random.chance(0.3)) {
    return document;
  }
  const key = random.pick(Object.keys(document));
  return { ...document, [key]: random.pick(key === 'cniVersion' ? SAFE_ODD : ODD) };
}

function shuffled(random: Random, document: Document): Document {
  const entries = Object.entries(document).map((entry) => ({ entry, order: random.next() }));
  return Object.fromEntries(entries.sort((a, b) => a.order - b.order).map(({ entry }) => entry));
}

const canonical = (mac: string): string =>
  (
    mac
      .replace(/[^0-9a-f]/gi, '')
      .toLowerCase()
      .match(/../g) ?? []
  ).join(':');
