/** Configurations of ipvlan that our plugin and Go's are compared with, on a kernel that has ipvlan. */

import { PARENT, PARENT_MAC } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import { SEED } from '../../lab/random.ts';
import { childBase, childCases } from '../../peers/child-cases.ts';
import type { Case } from '../../peers/compare.ts';
import { addresses, type Document, distinct, hostLocal, ipam, making } from '../../peers/making-cases.ts';

/** One in so many cases that are about any kind of link is taken: the machine is slow, and macvlan takes them all. */
const SHARE = Number(process.env['BRAID_SHARE'] ?? 40);

const { one, across, values } = making('ipvlan', childBase('ipvlan'));
const MACS = { macs: [PARENT_MAC] };

const spec: readonly Case[] = [
  ...across(VERSIONS, 'static address', {}, MACS),
  ...across(
    ['0.2.0', '0.4.0', '1.1.0'],
    'both families',
    ipam(addresses(['10.1.2.3/24', '10.1.2.1'], ['fd00:1::3/64', 'fd00:1::1']), {
      routes: [{ dst: '::/0' }, { dst: '0.0.0.0/0' }],
    }),
    MACS,
  ),
  ...across(['0.1.0', '0.3.1', '1.0.0'], 'no ipam', { ipam: undefined }),
  one('ipam without a type', { ipam: {} }, { version: '1.0.0' }),
  one('host-local', hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }), { version: '1.1.0', dels: 2 }),
];

const linkKeys: readonly Case[] = [
  ...values('mode', [undefined, '', 'l3', 'l3s', 'L2', 0], MACS),
  ...values('mtu', [null, 68, 1280, 1500, 1501, 67, -1, '1400']),
  ...values('master', ['absent0', 'lo', 'a-name-of-more-than-fifteen-bytes', 7]),
  ...values('linkInContainer', [null, 'true']),
  one('a mac, which is no key', { mac: '02:5e:00:00:00:07', runtimeConfig: { mac: '02:5e:00:00:00:08' } }, MACS),
  one('keys in capitals', { master: undefined, Master: PARENT, MODE: 'l3', Mtu: 1400 }, { version: '1.0.0' }),
  one('CNI_ARGS, which it does not read', {}, { version: '0.4.0', call: { args: 'IgnoreUnknown=1;MAC=nonsense' } }),
];

const twice: readonly Case[] = [one('ADD twice', {}, { version: '1.0.0', verbs: ['ADD', 'ADD', 'DEL', 'DEL'] })];

const masters: readonly Case[] = [
  one('no master and no default route', { master: undefined }, { version: '0.3.1' }),
  one('no master and no default route in CHECK', { master: undefined }, { version: '1.0.0' }),
  one(
    'no master and a default route',
    { master: '' },
    { version: '1.0.0', prepare: ['node: addr add 10.50.0.2/24 dev par', 'node: route add default via 10.50.0.1'] },
  ),
  one(
    'no master and a default route that is gone at DEL',
    { master: '' },
    { version: '0.3.1', prepare: ['node: route add default dev par'], meanwhile: ['node: route del default'] },
  ),
  one(
    'no master and a default route of several ways',
    { master: '' },
    {
      version: '0.3.1',
      prepare: [
        'node: addr add 10.50.0.2/24 dev par',
        'node: route add default nexthop via 10.50.0.1 nexthop via 10.50.0.3',
      ],
    },
  ),
  one('master that is down', {}, { prepare: ['node: link set par down'] }),
  one(
    'master that is a bridge',
    { master: 'br9' },
    { prepare: ['node: link add br9 type bridge', 'node: link set br9 up'] },
  ),
  one(
    'master that is a bridge port',
    {},
    { prepare: ['node: link add br9 type bridge', 'node: link set par master br9'] },
  ),
  one(
    'master that is an ipvlan',
    { master: 'iv9' },
    { version: '1.0.0', prepare: ['node: link add iv9 link par type ipvlan mode l2', 'node: link set iv9 up'] },
  ),
  one('master with a macvlan', {}, { prepare: ['node: link add mv9 link par type macvlan mode bridge'] }),
  one('master with another ipvlan', {}, { prepare: ['node: link add iv9 link par type ipvlan mode l2'] }),
  one(
    'another mode than its sibling',
    { mode: 'l3' },
    // the kernel has one mode for all on a parent: the sibling has the other one from then on
    { prepare: ['node: link add iv9 link par type ipvlan mode l2'], meanwhile: [] },
  ),
  one(
    'the address of a sibling',
    {},
    {
      version: '1.0.0',
      prepare: ['node: link add iv9 link par type ipvlan mode l2', 'node: addr add 10.1.2.3/24 dev iv9'],
    },
  ),
  one('the address of the master', {}, { version: '1.0.0', prepare: ['node: addr add 10.1.2.3/24 dev par'] }),
  one('no mtu on a small parent', {}, { prepare: ['node: link set par mtu 1200'] }),
  one('parent that shrinks', { mtu: 1400 }, { version: '1.0.0', meanwhile: ['node: link set par mtu 1300'] }),
  one('parent that is gone before CHECK', {}, { version: '1.0.0', meanwhile: ['node: link del par'] }),
  one('parent that is gone before DEL', {}, { version: '0.3.1', meanwhile: ['node: link del par'] }),
  ...across(
    ['0.2.0', '1.1.0'],
    'parent in the container',
    { linkInContainer: true, master: 'inner' },
    { prepare: ['pod: link add inner type bridge', 'pod: link set inner addrgenmode none', 'pod: link set inner up'] },
  ),
  one('parent in the container that is on the node only', { linkInContainer: true }),
  one(
    'default route in the container',
    { linkInContainer: true, master: '' },
    {
      version: '0.3.1',
      prepare: [
        'pod: link add inner type bridge',
        'pod: link set inner addrgenmode none',
        'pod: link set inner up',
        'pod: route add default dev inner',
      ],
    },
  ),
];

/** What the plugin before it in a chain has left. */
const previous = (names: readonly string[], more: Document = {}): Document => ({
  cniVersion: '1.0.0',
  interfaces: names.map((name) => ({ name, mac: PARENT_MAC })),
  ips: [{ address: '10.1.2.3/24', gateway: '10.1.2.1', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0' }],
  dns: { domain: 'before.example' },
  ...more,
});
const chained = (title: string, prevResult: unknown, changes: Document = {}): Case =>
  one(`chained: ${title}`, { ipam: undefined, ...changes, prevResult }, { version: '1.0.0', ...MACS });

const chains: readonly Case[] = [
  chained('takes over addresses', previous(['x', 'y'])),
  chained('takes over the only interface as master', previous([PARENT]), { master: undefined }),
  chained('has its own addresses', previous([PARENT]), { master: '', ipam: childBase('ipvlan')('1.0.0')['ipam'] }),
  chained('no interface for a master', previous([]), { master: '' }),
  chained('two interfaces for a master', previous([PARENT, 'b']), { master: '' }),
  chained('an interface without a name', previous(['']), { master: '' }),
  chained('an interface that is not there', previous(['absent0']), { master: '' }),
  chained('no addresses', previous([PARENT], { ips: [] })),
  chained('several addresses, one of none', {
    ...previous(['x']),
    ips: [{ address: '10.1.2.3/24', interface: 7 }, { address: 'fd00:1::3/64' }],
  }),
  chained('its own dns', previous(['x']), { dns: { domain: 'own.example' } }),
  chained('an empty result', {}),
  chained('null', null),
  chained('a broken result', { cniVersion: '1.0.0', ips: 'x' }),
  chained('a broken result, and an IPAM plugin', { cniVersion: '1.0.0', ips: 'x' }, { ipam: { type: 'static' } }),
  one(
    'chained: an old version',
    { ipam: undefined, prevResult: { cniVersion: '0.2.0', ip4: { ip: '10.1.2.3/24', gateway: '10.1.2.1' } } },
    { version: '0.2.0' },
  ),
];

const checks: readonly Case[] = [
  one('another mode before CHECK', {}, { version: '1.0.0', meanwhile: ['pod: link set net1 type ipvlan mode l3'] }),
  one('another mode in CHECK', {}, { version: '0.4.0', checkWith: { mode: 'l3' } }),
  one('another master in CHECK', {}, { version: '1.1.0', checkWith: { master: 'par-peer' } }),
  one('/32 address', ipam(addresses('10.1.2.3/32')), { version: '1.0.0' }),
];

/** Those that meet a difference, whatever the kind of link. */
const MEETING = [
  'another name before CHECK (1.0.0)',
  'DEL of a link of another kind',
  'ipam {"type":"absent-ipam"}',
  'routes [{"dst":"10.8.0.0/16","mtu":1300',
  'routes [{"dst":"10.8.0.0/16","mtu":-1}]',
  'routes [{"dst":"10.8.0.5/16"}]',
  'STATUS without the master',
  'namespace /proc/self/status, DEL',
];

/** Of the others, others for another seed. */
const shared = childCases('ipvlan', { needsAddresses: true }).filter(
  ({ title }, index) => (index + SEED) % SHARE === 0 || MEETING.some((beginning) => title.startsWith(beginning)),
);

/** @returns all of them, each title once */
export const ipvlanCases = (): readonly Case[] =>
  distinct([...spec, ...twice, ...linkKeys, ...masters, ...chains, ...checks, ...shared]);
