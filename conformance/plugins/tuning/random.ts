/** Configurations of tuning made at random: mostly good, sometimes with a fault, the same ones for the same seed. */

import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import type { Case } from '../../peers/compare.ts';
import { ODD, type RandomDocument, recased, shuffled, spoilt } from '../../peers/random-parts.ts';
import { LINK, MAC, previousOf, TIDY } from './cases.ts';

const MACS = [MAC, '06:00:00:aa:bb:cc', '0A-00-00-00-00-01', '0e00.0000.0002'];

/** `BRAID_SEED` and `BRAID_RANDOM_CASES` choose others. */
export function randomTuningCases(): readonly Case[] {
  return Array.from({ length: countOf(50) }, (_, index) => {
    const random = new Random(SEED + index * 7919);
    const version = random.pick(VERSIONS);
    const hasLink = random.chance(0.5);
    const ifName = hasLink ? 'net1' : 'lo';
    const conf = spoilt(random, recased(random, documentOf(random, version, ifName, hasLink)));
    const call = { ifName, ...argsOf(random, hasLink) };
    return {
      title: `${index}: ${JSON.stringify(conf)} ${JSON.stringify(call)}`.slice(0, 400),
      plugin: 'tuning',
      conf,
      call,
      macs: MACS.map(canonical),
      ...(hasLink ? { prepare: LINK, tidy: TIDY } : {}),
    };
  });
}

function documentOf(random: Random, version: string, ifName: string, hasLink: boolean): RandomDocument {
  const document: RandomDocument = {
    cniVersion: version,
    name: random.pick(['a', 'net-a', 'Net.1_x']),
    type: 'tuning',
    dataDir: '{store}',
    prevResult: previousOf(version, ifName),
  };
  const settings: readonly (readonly [string, () => unknown])[] = [
    ['mtu', () => random.pick([0, 68, 576, 1280, 1400, 1500, 65535])],
    ['promisc', () => random.chance(0.7)],
    ['allmulti', () => random.chance(0.7)],
    ['txQLen', () => random.pick([0, 1, 500, 1000])],
    ...(hasLink
      ? ([
          ['mac', () => random.pick(MACS)],
          ['sysctl', () => sysctlsOf(random)],
        ] as const)
      : []),
  ];
  const options: readonly (readonly [string, () => unknown])[] = [
    ...settings,
    ['runtimeConfig', () => (hasLink ? random.pick([{ mac: random.pick(MACS) }, {}]) : {})],
    ['args', () => ({ cni: Object.fromEntries(random.some(settings, 0.3).map(([key, value]) => [key, value()])) })],
    ['unknown', () => random.pick(ODD)],
  ];
  for (const [key, value] of random.some(options, 0.4)) {
    document[key] = value();
  }
  return shuffled(random, document);
}

const sysctlsOf = (random: Random): RandomDocument =>
  Object.fromEntries(
    random
      .some(
        [
          'net.ipv4.conf.IFNAME.arp_notify',
          'net/ipv6/conf/IFNAME/ndisc_notify',
          'net.ipv6.conf.net1.keep_addr_on_down',
        ],
        0.5,
      )
      .map((name) => [name, random.pick(['0', '1'])]),
  );

const argsOf = (random: Random, hasLink: boolean): { readonly args?: string } =>
  random.chance(0.3)
    ? {
        args: random.pick([
          'IgnoreUnknown=1',
          ...(hasLink ? [`IgnoreUnknown=1;MAC=${random.pick(MACS)}`] : []),
          'IgnoreUnknown=1;K8S_POD_NAME=p;K8S_POD_NAMESPACE=n',
          'A=b',
          'IgnoreUnknown=x',
        ]),
      }
    : {};

const canonical = (mac: string): string =>
  (
    mac
      .replace(/[^0-9a-f]/gi, '')
      .toLowerCase()
      .match(/../g) ?? []
  ).join(':');
