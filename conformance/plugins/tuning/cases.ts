/** Configurations of tuning that our plugin and Go's are compared with. */

import { VERSIONS } from '../../lab/programs.ts';
import type { Case } from '../../peers/compare.ts';
import { type Document, distinct, making } from '../../peers/making-cases.ts';

export const MAC = '02:5e:00:00:00:07';
const OLD_MAC = '02:5e:00:00:00:01';
/** with dots in its name */
const VLAN = 'net1.5';

/** The result of the plugin before. */
export function previousOf(version: string, ifName: string, addresses: readonly string[] = ['10.1.2.3/24']): Document {
  if (['', '0.1.0', '0.2.0'].includes(version)) {
    return { cniVersion: version || '0.1.0', ip4: { ip: '10.1.2.3/24' } };
  }
  return {
    cniVersion: version,
    interfaces: [{ name: ifName, mac: OLD_MAC, sandbox: '/run/netns/of-the-pod' }],
    ips: addresses.map((address) => ({
      ...(version.startsWith('0.') ? { version: address.includes(':') ? '6' : '4' } : {}),
      interface: 0,
      address,
    })),
  };
}

export const tuningBase =
  (ifName: string) =>
  (version: string): Document => ({
    cniVersion: version,
    name: 'net-a',
    type: 'tuning',
    dataDir: '{store}',
    prevResult: previousOf(version, ifName),
  });

/** The loopback is in every pod: nothing needs to be made, and everything but its address can be changed. */
const onLoopback = { ifName: 'lo' };
const loop = making('tuning', tuningBase('lo'));
const link = making('tuning', tuningBase('net1'));

/** A link with an address, up. */
export const LINK = [
  `pod: link add net1 address ${OLD_MAC} type veth peer name net1-peer address 02:5e:00:00:00:02`,
  'pod: link set net1 up',
  'pod: link set net1-peer up',
];
export const TIDY = ['pod: link del net1'];
const made = { prepare: LINK, tidy: TIDY, macs: [MAC, OLD_MAC] };

const attributes: readonly Case[] = [
  ...loop.across(VERSIONS, 'nothing', {}, { call: onLoopback }),
  ...loop.across(
    VERSIONS,
    'all but the address',
    { mtu: 1400, promisc: true, allmulti: true, txQLen: 77 },
    { call: onLoopback, dels: 2 },
  ),
  ...link.across(VERSIONS, 'hardware address', { mac: MAC }, made),
  ...loop.values('mtu', [null, 0, 68, 1400, 65536, 67, 65537, -1, 1.5, '1400', true, [], {}, 2 ** 31, 2 ** 32 + 1400], {
    call: onLoopback,
  }),
  ...loop.values('txQLen', [null, 0, 1, 2 ** 31, -1, 2 ** 32 + 5, '5', 1.5, {}], { call: onLoopback }),
  ...loop.values('promisc', [null, true, false, 'true', 1, {}], { call: onLoopback }),
  ...loop.values('allmulti', [null, true, false, 'true', 1, {}], { call: onLoopback }),
  ...link.values('mac', ['02-5E-00-00-00-07', '025e.0000.0007', '01:00:5e:00:00:01', '00:00:00:00:00:00'], made),
  ...loop.values('mac', ['', null, 'x', 7, '02:5e', [], '02:5e:00:00:00:07:08:09'], { call: onLoopback }),
  loop.one(
    'a hardware address of an interface that has none',
    { mac: MAC, mtu: 1400 },
    { call: onLoopback, macs: [MAC], version: '1.0.0' },
  ),
  loop.one('an MTU of which IPv6 knows nothing', { mtu: 1000 }, { call: onLoopback, version: '1.0.0' }),
  loop.one(
    'an MTU that is too small for IPv6',
    { mtu: 1000, prevResult: previousOf('1.0.0', 'lo', ['10.1.2.3/24', 'fd00::3/64']) },
    { call: onLoopback, version: '1.0.0' },
  ),
  loop.one(
    'an MTU that the kernel refuses after other changes',
    { promisc: true, txQLen: 9, mtu: 67 },
    { call: { ifName: 'net1' }, ...made, version: '1.1.0' },
  ),
  loop.one('an interface that is not there', { mtu: 1400 }, { version: '1.0.0' }),
  loop.one(
    'an interface that is not there, and only a sysctl',
    { sysctl: { 'net.core.somaxconn': '100' } },
    { prepare: ['pod: link show'], version: '1.0.0', verbs: ['ADD', 'DEL'] },
  ),
  loop.one(
    'promiscuous mode that is on already',
    { promisc: true },
    { prepare: ['pod: link set lo promisc on'], call: onLoopback, version: '1.0.0' },
  ),
  loop.one(
    'promiscuous mode that is on for another reason',
    { mtu: 1400 },
    { prepare: ['pod: link set lo promisc on'], call: onLoopback, version: '1.0.0' },
  ),
  loop.one(
    'all that is there already',
    { mtu: 65536, txQLen: 1000, allmulti: false },
    { call: onLoopback, version: '1.0.0' },
  ),
];

const previous: readonly Case[] = [
  loop.one('prevResult absent', { prevResult: undefined, mtu: 1400 }, { call: onLoopback, version: '1.0.0' }),
  ...loop.values('prevResult', [null, 7, [], {}, { cniVersion: '0.4.0', interfaces: [] }, { ips: 7 }], {
    call: onLoopback,
    version: '1.0.0',
  }),
  link.one(
    'an interface that is not in prevResult',
    { mac: MAC, prevResult: previousOf('1.0.0', 'other') },
    { ...made, version: '1.0.0' },
  ),
  link.one(
    'a link of the host with the same name in prevResult',
    {
      mac: MAC,
      prevResult: {
        cniVersion: '1.0.0',
        interfaces: [
          { name: 'net1', mac: '02:00:00:00:00:aa' },
          { name: 'net1', mac: OLD_MAC, sandbox: '/run/netns/x' },
        ],
      },
    },
    { ...made, version: '1.0.0', macs: [MAC, OLD_MAC, '02:00:00:00:00:aa'] },
  ),
  loop.one(
    'an MTU in prevResult',
    { mtu: 1400, prevResult: { cniVersion: '1.1.0', interfaces: [{ name: 'lo', mtu: 65536, sandbox: '/x' }] } },
    { call: onLoopback, version: '1.1.0' },
  ),
];

const args: readonly Case[] = [
  link.one(
    'mac of CNI_ARGS',
    { mac: OLD_MAC },
    { ...made, version: '1.0.0', call: { args: `IgnoreUnknown=1;MAC=${MAC}` } },
  ),
  link.one(
    'mac of the runtime',
    { mac: OLD_MAC, runtimeConfig: { mac: MAC } },
    { ...made, version: '1.1.0', call: { args: 'MAC=02:5e:00:00:00:09' } },
  ),
  link.one(
    'mac of args.cni',
    { runtimeConfig: { mac: OLD_MAC }, args: { cni: { mac: MAC } } },
    { ...made, version: '1.1.0' },
  ),
  link.one('an empty mac of args.cni', { mac: MAC, args: { cni: { mac: '' } } }, { ...made, version: '0.4.0' }),
  ...['MAC', 'MAC=x', 'COLOUR=blue', ';', 'IgnoreUnknown=maybe'].map((text) =>
    loop.one(`CNI_ARGS ${text}`, { mtu: 1400 }, { call: { ...onLoopback, args: text }, version: '1.0.0' }),
  ),
  ...[
    { mtu: 1300, promisc: true, allmulti: true, txQLen: 5 },
    { mtu: 0, promisc: false, allmulti: null, txQLen: null },
    { sysctl: { 'net/ipv4/conf/IFNAME/arp_notify': '1' } },
    { mtu: '5' },
    { sysctl: [] },
    null,
    7,
  ].map((cni) =>
    loop.one(
      `args.cni ${JSON.stringify(cni)}`,
      { mtu: 1400, promisc: true, args: { cni } },
      { call: onLoopback, version: '1.0.0', prepare: ['pod: link show'] },
    ),
  ),
];

const NAMES = [
  'net.ipv4.conf.IFNAME.arp_notify',
  'net/ipv4/conf/IFNAME/arp_notify',
  '/net/ipv4/conf/IFNAME/arp_notify',
  'net.ipv4/conf/IFNAME/arp_notify',
  'net.ipv4.conf.net1.arp_notify',
];
const BAD_NAMES = [
  '',
  'net',
  'net.',
  'kernel.hostname',
  'net.none',
  'net.ipv4',
  'net..ipv4.conf.IFNAME.arp_notify',
  'net/../kernel/hostname',
  'net.ipv4.conf.other.arp_notify',
];
const sysctls: readonly Case[] = [
  ...[...NAMES, ...BAD_NAMES].map((name) =>
    link.one(`sysctl ${JSON.stringify(name)}`, { sysctl: { [name]: '1' } }, { ...made, version: '1.0.0' }),
  ),
  ...['0', '0x1', ' 1', '1\n', '', 'x', '1 2'].map((value) =>
    link.one(
      `sysctl with value ${JSON.stringify(value)}`,
      { sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': value } },
      { ...made, version: '1.0.0' },
    ),
  ),
  ...[
    { a: 1 },
    { 'net.ipv4.conf.IFNAME.arp_notify': 1 },
    { 'net.ipv4.conf.IFNAME.arp_notify': null },
    'x',
    [],
    null,
    {},
  ].map((value) => link.one(`sysctl ${JSON.stringify(value)}`, { sysctl: value }, { ...made, version: '1.0.0' })),
  link.one(
    'a sysctl of several words',
    { sysctl: { 'net.ipv4.ip_local_port_range': '20000 30000' } },
    { ...made, version: '1.0.0' },
  ),
  link.one(
    'a sysctl that can only be written',
    { sysctl: { 'net.ipv4.route.flush': '1' } },
    { ...made, version: '1.0.0' },
  ),
  link.one(
    'one sysctl under two names',
    { sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': '1', 'net/ipv4/conf/net1/arp_notify': '0' } },
    { ...made, version: '1.0.0', verbs: ['ADD'] },
  ),
  link.raw(
    'a sysctl twice',
    '{"cniVersion":"1.0.0","name":"a","type":"tuning","prevResult":{},"sysctl":{"net.ipv4.conf.IFNAME.arp_notify":"1","net.ipv4.conf.IFNAME.arp_notify":"1"}}',
    { prepare: LINK },
  ),
  link.one(
    'a sysctl that fails after one that does not',
    { mtu: 1400, sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': 'x' } },
    { ...made, version: '1.0.0' },
  ),
  link.one(
    'a sysctl of an interface with a dot',
    {
      sysctl: { 'net/ipv4/conf/IFNAME/arp_notify': '1', 'net.ipv4.conf.IFNAME.arp_accept': '1' },
      prevResult: previousOf('1.0.0', VLAN),
    },
    { version: '1.0.0', prepare: [`pod: link add ${VLAN} type bridge`], call: { ifName: VLAN } },
  ),
  link.one(
    'a sysctl of another interface with a dot',
    { sysctl: { [`net/ipv4/conf/${VLAN}/arp_notify`]: '1' } },
    { version: '1.0.0', prepare: [...LINK, `pod: link add ${VLAN} type bridge`] },
  ),
];

const RECORD = { mac: OLD_MAC, promisc: false, mtu: 1280, allmulti: false, txQLen: 55 };
const only = (
  title: string,
  verbs: readonly string[],
  options: Partial<Case> & Pick<Case, 'files'>,
  changes: Document = {},
): Case => link.one(title, changes, { ...made, version: '1.0.0', verbs, meanwhile: [], ...options });
const records: readonly Case[] = [
  only('record of Go: DEL', ['DEL', 'DEL'], { files: { 'c1_net1.json': RECORD } }),
  only('record of Go: some of it', ['DEL'], { files: { 'c1_net1.json': { mtu: 1280, txQLen: 5 } } }),
  only('record of another container', ['DEL'], { files: { 'c2_net1.json': RECORD } }),
  only('record: empty', ['DEL'], { files: { 'c1_net1.json': '' } }),
  only('record: damaged', ['DEL'], { files: { 'c1_net1.json': '{"mtu":12' } }),
  only('record: damaged, and of another form', ['DEL'], { files: { 'c1_net1.json': '[]' } }),
  only(
    'record: damaged, and the mount of the namespace is lost',
    ['DEL'],
    { files: { 'c1_net1.json': '{"mtu":12' }, netns: '/etc/hostname' },
    { prevResult: undefined },
  ),
  only('record: empty, before ADD', ['ADD', 'DEL'], { files: { 'c1_net1.json': '' } }, { mtu: 1400 }),
  only('record of an interface that is gone', ['DEL'], {
    files: { 'c1_other.json': RECORD },
    call: { ifName: 'other' },
  }),
  only('record of a namespace that is gone', ['DEL'], { files: { 'c1_net1.json': RECORD }, netns: '{pod}-gone' }),
  only('record of a namespace that is a file', ['DEL'], { files: { 'c1_net1.json': RECORD }, netns: '/etc/hostname' }),
  only('record that the kernel refuses: it cannot be put back', ['DEL'], {
    files: { 'c1_net1.json': { ...RECORD, mtu: 70000 } },
  }),
];

const others: readonly Case[] = [
  ...loop
    .values('dataDir', ['', null, 7], { call: onLoopback, version: '1.0.0' })
    .filter(({ title }) => title.includes('7')),
  ...[{ mtu: 1400 }, { promisc: true }, { allmulti: true }, { txQLen: 5 }].map((wanted) =>
    loop.one(`CHECK after a change: ${JSON.stringify(wanted)}`, wanted, {
      call: onLoopback,
      version: '1.1.0',
      meanwhile: ['pod: link set lo mtu 1300 promisc off allmulticast off txqueuelen 6'],
    }),
  ),
  link.one(
    'CHECK after a change of the address',
    { mac: MAC },
    { ...made, version: '1.1.0', meanwhile: ['pod: link set net1 address 02:5e:00:00:00:08'] },
  ),
  link.one(
    'CHECK with another sysctl',
    { sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': '1' } },
    { ...made, version: '1.1.0', checkWith: { sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': '0' } } },
  ),
  loop.one(
    'keys in other letters',
    { MTU: 1400, TXQLEN: 5, AllMulti: true, Promisc: true },
    { call: onLoopback, version: '1.0.0' },
  ),
  loop.one('unknown keys', { mtu: 1400, x: { y: [1] } }, { call: onLoopback, version: '1.0.0' }),
  loop.one('DEL without ADD', { mtu: 1400 }, { call: onLoopback, version: '1.0.0', verbs: ['DEL'] }),
  loop.one('DEL with a wrong type', { mtu: 'x' }, { call: onLoopback, version: '1.0.0', verbs: ['DEL'] }),
  loop.one('a namespace that is not there', { mtu: 1400 }, { call: onLoopback, version: '1.0.0', netns: '{pod}-none' }),
];

export const tuningCases = (): readonly Case[] =>
  distinct([...attributes, ...previous, ...args, ...sysctls, ...records, ...others]);
