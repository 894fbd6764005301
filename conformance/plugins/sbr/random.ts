/** Pods and configurations of sbr made at random: mostly good, sometimes with a fault, the same ones for the same seed. */
import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import type { Case } from '../../peers/compare.ts';
import { ODD, type RandomDocument, recased, shuffled } from '../../peers/random-parts.ts';
import { type Given, interfaceOf, resultOf } from './lab.ts';

interface Network {
  readonly address: string;
  readonly gateway: string;
  readonly routes: readonly string[];
}

const networks = (text: (nth: number, host: string) => string, length: number, targets: readonly string[]) =>
  [1, 2, 3].map(
    (nth): Network => ({
      address: `${text(nth, '3')}/${length}`,
      gateway: text(nth, '1'),
      routes: targets.map((target) => `${target} via ${text(nth, '9')} dev net1 metric ${40 + nth}`),
    }),
  );

/** One family in a pod: what the other one is routed by is a difference of its own. */
const FAMILIES: readonly (readonly Network[])[] = [
  networks((nth, host) => `10.1.${nth}.${host}`, 24, ['10.8.0.0/16', '192.0.2.7/32']),
  networks((nth, host) => `fd00:${nth}::${host}`, 64, ['fd08::/48', 'fd09::7/128']),
];
const DEVICE_ROUTES = [['10.9.0.0/16 dev net1'], ['fd0a::/48 dev net1 metric 60']];
const USED = [
  'rule add from 10.7.0.1 table 100',
  '-6 rule add from fd07::1 table 101',
  'rule add from 10.7.0.2 table 102',
];

/** `BRAID_SEED` and `BRAID_RANDOM_CASES` choose others. */
export function randomSbrCases(): readonly Case[] {
  return Array.from({ length: countOf(16) }, (_, index) => {
    const random = new Random(SEED + index * 7919);
    const version = random.pick(VERSIONS);
    const family = random.below(2);
    const given = random.some(FAMILIES[family] ?? [], 0.6).slice(0, version < '0.3' ? 1 : 3);
    const addresses = given.map(({ address, gateway }): Given => (random.chance(0.7) ? [address, gateway] : [address]));
    const routes = random.some([...given.flatMap((one) => one.routes), ...(DEVICE_ROUTES[family] ?? [])], 0.5);
    const first = given[0]?.gateway;
    const withDefault =
      first !== undefined && random.chance(0.5) ? [`default via ${first} dev net1`, ...routes] : routes;
    const conf = documentOf(random, version, addresses);
    const commands = [
      ...interfaceOf('net1', addresses),
      ...(given.length === 0 ? [] : withDefault.map((route) => `route add ${route}`)),
      ...random.some(USED, 0.3),
    ];
    return {
      title: `${index}: ${JSON.stringify(conf)} ${JSON.stringify(commands.slice(3))}`.slice(0, 500),
      plugin: 'sbr',
      conf,
      rules: true,
      goesWithLink: true,
      prepare: commands.map((command) => `pod: ${command}`),
      ...(random.chance(0.2) ? { dels: 2 } : {}),
    };
  });
}

function documentOf(random: Random, version: string, addresses: readonly Given[]): RandomDocument {
  const more: readonly (readonly [string, () => unknown])[] = [
    ['table', () => (random.chance(0.7) ? random.pick([1, 100, 252, 255, 256, 70000]) : random.pick(ODD))],
    ['unknown', () => random.pick(ODD)],
    ['capabilities', () => ({ ips: true })],
    ['runtimeConfig', () => ({ ips: ['10.4.0.5/24'] })],
  ];
  return shuffled(
    random,
    recased(random, {
      cniVersion: version,
      name: random.pick(['a', 'net-a', 'Net.1_x']),
      type: 'sbr',
      prevResult: resultOf(version, 'net1', addresses),
      ...Object.fromEntries(random.some(more, 0.3).map(([key, value]) => [key, value()])),
    }),
  );
}
