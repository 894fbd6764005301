/** Configurations of multus made at random: mostly good, sometimes with a fault, the same ones for the same seed. */

import { PARENT } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import type { Case } from '../../peers/compare.ts';

type Document = Record<string, unknown>;

const MACS = Array.from({ length: 5 }, (_, index) => `02:5e:00:00:00:2${index}`);
const ODD: readonly unknown[] = [null, '', 'x', 0, 7, 1.5, true, [], {}, [null], { a: null }];
const ARGS = [
  '',
  'IgnoreUnknown=1',
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;K8S_POD_UID=u',
  'K8S_POD_NAME=p;IgnoreUnknown=true;A=b',
  'A=b',
  'A',
];

/** `BRAID_SEED` and `BRAID_RANDOM_CASES` choose others. */
export function randomMultusCases(): readonly Case[] {
  return Array.from({ length: countOf(60) }, (_, index) => {
    const random = new Random(SEED + index * 104729);
    const version = random.pick(VERSIONS);
    const delegates = Array.from({ length: 1 + random.below(4) }, (__, place) => delegateOf(random, place));
    const conf = {
      cniVersion: version,
      name: 'node',
      type: 'multus',
      cniDir: '{store}/cni',
      binDir: '{bin}',
      delegates,
      ...optionsOf(random),
    };
    const call = { ifName: random.pick(['eth0', 'net0']), args: random.pick(ARGS) };
    return {
      title: `${index}: ${JSON.stringify({ version, delegates, call })}`.slice(0, 400),
      plugin: 'multus',
      conf,
      call,
      macs: MACS,
    };
  });
}

function optionsOf(random: Random): Document {
  const options: Document = {
    capabilities: { mac: true },
    runtimeConfig: { mac: MACS[4], portMappings: [{ hostPort: 1, containerPort: 2 }] },
    logLevel: 'error',
    retryDeleteOnError: true,
    unknown: random.pick(ODD),
  };
  return Object.fromEntries(random.some(Object.entries(options), 0.25));
}

function delegateOf(random: Random, place: number): Document {
  const version = random.chance(0.9) ? { cniVersion: random.pick(VERSIONS) } : {};
  const plugin = spoilt(random, pluginOf(random, place));
  const name = random.chance(0.95) ? `net-${place}` : random.pick(['net-0', 'Net.1_x']);
  if (random.chance(0.3)) {
    const tuning = { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': random.chance(0.9) ? '1' : 'x' } };
    return {
      ...version,
      name,
      plugins: [plugin, ...random.some([tuning], 0.6)],
      ...(random.chance(0.1) ? { disableCheck: true } : {}),
    };
  }
  return { ...version, name, ...plugin };
}

function pluginOf(random: Random, place: number): Document {
  const ipam = random.pick([
    {
      type: 'static',
      addresses: [{ address: `10.1.${place}.3/24`, gateway: `10.1.${place}.1` }],
      routes: [{ dst: `10.8${place}.0.0/16` }],
    },
    { type: 'host-local', dataDir: '{store}/host-local', ranges: [[{ subnet: `10.7.${place}.0/24` }]] },
    undefined,
  ]);
  const options: Document = {
    mode: random.pick(['bridge', 'private', 'vepa']),
    mtu: random.pick([1280, 1400, 9000]),
    dns: { nameservers: ['10.0.0.53'] },
    capabilities: { mac: random.chance(0.5), ips: true },
    note: { text: '<é>', numbers: [1.5, 2, 1e21] },
  };
  return {
    type: 'macvlan',
    master: PARENT,
    mac: MACS[place],
    ...(ipam && { ipam }),
    ...Object.fromEntries(random.some(Object.entries(options), 0.2)),
  };
}

function spoilt(random: Random, plugin: Document): Document {
  if (!random.chance(0.08)) {
    return plugin;
  }
  return { ...plugin, [random.pick(Object.keys(plugin))]: random.pick(ODD) };
}
