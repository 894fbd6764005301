/** Configurations of macvlan made at random: mostly good, sometimes with a fault, the same ones for the same seed. */

import { PARENT } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import type { Case } from '../../peers/compare.ts';
import { dnsOf, ipamOf, ODD, type RandomDocument, recased, shuffled, spoilt } from '../../peers/random-parts.ts';

const MACS = ['02:5e:00:00:00:07', '06:00:00:aa:bb:cc', '0A-00-00-00-00-01', '0e00.0000.0002'];

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

function documentOf(random: Random, version: string): RandomDocument {
  const document: RandomDocument = {
    cniVersion: version,
    name: random.pick(['a', 'net-a', 'Net.1_x']),
    type: 'macvlan',
  };
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

const canonical = (mac: string): string =>
  (
    mac
      .replace(/[^0-9a-f]/gi, '')
      .toLowerCase()
      .match(/../g) ?? []
  ).join(':');
