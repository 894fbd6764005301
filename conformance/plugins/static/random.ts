/** Configurations of static made at random: mostly good, sometimes with a fault, the same ones for the same seed. */
import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import type { Case } from '../../peers/compare.ts';
import { dnsOf, ipamOf, type RandomDocument, recased, shuffled, spoilt } from '../../peers/random-parts.ts';

const ADDRESSES = ['10.1.2.3/24', '10.1.3.3/25', '10.1.4.9/32', 'fd00:1::3/64', 'fd00:2::3/128', '10.1.2.3', 'x'];
const GATEWAYS = ['10.1.2.1', 'fd00:1::1', '10.9.9.9', 'x'];

/** `BRAID_SEED` and `BRAID_RANDOM_CASES` choose others. */
export function randomStaticCases(): readonly Case[] {
  return Array.from({ length: countOf(60) }, (_, index) => {
    const random = new Random(SEED + index * 7919);
    const conf = documentOf(random, random.pick(VERSIONS));
    const args = argsOf(random);
    return { title: `${index}: ${JSON.stringify(conf)} ${args}`.slice(0, 400), plugin: 'static', conf, call: { args } };
  });
}

/** Most are good: the list ends with what is not. */
const someAddresses = (random: Random): readonly string[] =>
  random.some(random.chance(0.1) ? ADDRESSES : ADDRESSES.slice(0, -2), 0.4);

function documentOf(random: Random, version: string): RandomDocument {
  const given = { ...ipamOf(random), type: 'static', ...(random.chance(0.3) ? { dns: dnsOf(random) } : {}) };
  const more: readonly (readonly [string, () => unknown])[] = [
    ['args', () => ({ cni: { ips: someAddresses(random) } })],
    ['runtimeConfig', () => ({ ips: someAddresses(random) })],
    ['capabilities', () => ({ ips: true })],
  ];
  return shuffled(random, {
    cniVersion: version,
    name: random.pick(['a', 'net-a', 'Net.1_x']),
    type: 'macvlan',
    ipam: spoilt(random, recased(random, given)),
    ...Object.fromEntries(random.some(more, 0.25).map(([key, value]) => [key, value()])),
  });
}

function argsOf(random: Random): string {
  const list = (key: string, values: readonly string[]) => `${key}=${values.join(',')}`;
  return random
    .some(
      [
        'IgnoreUnknown=1',
        list('IP', someAddresses(random)),
        list('GATEWAY', random.some(random.chance(0.1) ? GATEWAYS : GATEWAYS.slice(0, -1), 0.5)),
        ...(random.chance(0.05) ? ['K8S_POD_NAME=p'] : []),
      ],
      0.4,
    )
    .join(';');
}
