/** Configurations of host-local made at random: mostly good, sometimes with a fault, the same ones for the same seed. */
import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import { ODD, type RandomDocument, recased, shuffled, spoilt } from '../../peers/random-parts.ts';

export interface RandomCall {
  readonly title: string;
  /** without `dataDir` */
  readonly document: RandomDocument & { readonly ipam: object };
  readonly containerId: string;
  readonly ifName: string;
  readonly args?: string;
  /** in the folder of the network, before anything is called */
  readonly files: Readonly<Record<string, string>>;
  readonly verbs: readonly string[];
}

/** `BRAID_SEED` and `BRAID_RANDOM_CASES` choose others. */
export function randomCalls(): readonly RandomCall[] {
  return Array.from({ length: countOf(100) }, (_, index) => {
    const random = new Random(SEED + index * 7919);
    const { ipam, ...others } = documentOf(random);
    const document = { ...spoilt(random, others), name: 'net-a', ipam: recased(random, ipam as RandomDocument) };
    const args = random.chance(0.25)
      ? { args: random.pick(['IP=10.5.0.9', 'IgnoreUnknown=1;A=b', 'IP=fd05::2:9', 'A=b']) }
      : {};
    return {
      title: `${index}: ${JSON.stringify(document)} ${JSON.stringify(args)}`,
      document,
      ifName: random.pick(['net1', 'eth0.5']),
      containerId: random.pick(['c1', 'C.1_2-3']),
      ...args,
      files: filesOf(random),
      verbs: random.pick([
        ['ADD', 'CHECK', 'DEL'],
        ['ADD', 'ADD', 'DEL', 'DEL'],
      ]),
    };
  });
}

function documentOf(random: Random): RandomDocument {
  const document: RandomDocument = { cniVersion: random.pick(VERSIONS), name: 'net-a', type: 'macvlan' };
  const options: readonly (readonly [string, () => unknown])[] = [
    [
      'runtimeConfig',
      () => ({ ...(random.chance(0.5) ? { ips: ['10.5.0.9/24'] } : { ipRanges: [[rangeOf(random)]] }) }),
    ],
    ['args', () => ({ cni: random.pick([{}, { ips: ['fd05::7'] }]) })],
    ['unknown', () => random.pick(ODD)],
  ];
  for (const [key, value] of random.some(options, 0.25)) {
    document[key] = value();
  }
  document['ipam'] = shuffled(random, {
    type: 'host-local',
    ...(random.chance(0.3) ? rangeOf(random) : {}),
    ...(random.chance(0.8)
      ? {
          ranges: Array.from({ length: random.below(3) }, () =>
            Array.from({ length: 1 + random.below(2) }, () => rangeOf(random)),
          ),
        }
      : {}),
    ...(random.chance(0.4)
      ? { routes: random.some([{ dst: '0.0.0.0/0' }, { dst: 'fd09::/48', gw: 'fd05::1' }], 0.7) }
      : {}),
  });
  return shuffled(random, document);
}

function rangeOf(random: Random): RandomDocument {
  const [subnet, addresses] = random.pick([
    ['10.5.0.0/24', ['10.5.0.2', '10.5.0.9', '10.5.0.254', '10.5.0.1']],
    ['10.6.0.0/28', ['10.6.0.3', '10.6.0.4', '10.6.0.14']],
    ['fd05::/64', ['fd05::2:8', 'fd05::2:9', 'fd05::ffff:1']],
    ['fd06::/120', ['fd06::1', 'fd06::ff']],
  ] as const);
  const bounds: RandomDocument = {
    rangeStart: addresses[random.below(2)],
    rangeEnd: addresses[addresses.length - 1],
    gateway: random.pick([addresses[0], '192.0.2.1']),
  };
  return { subnet, ...Object.fromEntries(random.some(Object.entries(bounds), 0.3)) };
}

/** What others hold, what this attachment had, what was given last. */
function filesOf(random: Random): Readonly<Record<string, string>> {
  const files: Readonly<Record<string, string>> = {
    '10.5.0.2': 'other\r\nnet1',
    '10.5.0.9': 'other\r\nnet1',
    '10.6.0.3': 'c1\r\nnet1',
    'fd05::2:8': 'C.1_2-3\r\neth0.5',
    'fd06::1': 'c1',
    'last_reserved_ip.0': random.pick(['10.5.0.200', '10.6.0.14', 'fd05::2:7', '', 'x']),
    'last_reserved_ip.1': random.pick(['10.5.0.254', 'fd05::ffff:ffff:ffff:ffff', 'fd06::fe']),
  };
  return Object.fromEntries(random.some(Object.entries(files), 0.3));
}
