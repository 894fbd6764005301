/** Configurations of ipvlan made at random: mostly good, sometimes with a fault, the same ones for the same seed. */

import { PARENT, PARENT_MAC } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import type { Case } from '../../peers/compare.ts';
import { dnsOf, ipamOf, ODD, type RandomDocument, recased, shuffled, spoilt } from '../../peers/random-parts.ts';

/** `BRAID_SEED` and `BRAID_RANDOM_CASES` choose others. */
export function randomIpvlanCases(): readonly Case[] {
  return Array.from({ length: countOf(12) }, (_, index) => {
    const random = new Random(SEED + index * 6007);
    const conf = spoilt(random, recased(random, documentOf(random)));
    const call = { ifName: random.pick(['net1', 'eth0', 'eth0.5', 'abcdefghijklmno']) };
    return {
      title: `${index}: ${JSON.stringify(conf)} ${JSON.stringify(call)}`.slice(0, 400),
      plugin: 'ipvlan',
      conf,
      call,
      macs: [PARENT_MAC],
      ...(random.chance(0.1) ? { verbs: ['ADD', 'ADD', 'DEL', 'DEL'] } : {}),
    };
  });
}

function documentOf(random: Random): RandomDocument {
  const document: RandomDocument = {
    cniVersion: random.pick(VERSIONS),
    name: random.pick(['a', 'net-a', 'Net.1_x']),
    type: 'ipvlan',
    ...(random.chance(0.04) ? {} : { master: random.chance(0.04) ? 'absent0' : PARENT }),
    ...(random.chance(0.08) ? {} : { ipam: ipamOf(random) }),
  };
  const options: readonly (readonly [string, () => unknown])[] = [
    ['mode', () => random.pick(['l2', 'l3', 'l3s', ''])],
    ['mtu', () => random.pick([0, 68, 576, 1280, 1400, 1500, 1501])],
    ['linkInContainer', () => false],
    ['dns', () => dnsOf(random)],
    ['unknown', () => random.pick(ODD)],
    ['prevResult', () => ({ cniVersion: document['cniVersion'], interfaces: [{ name: PARENT }] })],
  ];
  for (const [key, value] of random.some(options, 0.35)) {
    document[key] = value();
  }
  return shuffled(random, document);
}
