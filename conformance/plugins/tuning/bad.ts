/** What tuning refuses. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fullDisk, type Row } from '../../lab/refuse.ts';
import { previousOf, tuningBase } from './cases.ts';

const tuning = (more: object) => ({ ...tuningBase('lo')('1.0.0'), dataDir: '{dir}/store', ...more });
/** The loopback is in every pod. */
const call = { ifName: 'lo' };

const WRONG_TYPES: readonly Row[] = [
  ...(['mac', 'dataDir'] as const).flatMap((key) => [7, true, [], {}].map((value) => [key, value] as const)),
  ...(['mtu', 'txQLen'] as const).flatMap((key) =>
    ['1500', true, [], {}, 1.5, -1].map((value) => [key, value] as const),
  ),
  ...(['promisc', 'allmulti'] as const).flatMap((key) => ['true', 0, [], {}].map((value) => [key, value] as const)),
  ...['x', 7, true, []].flatMap((value) => ['sysctl', 'args', 'runtimeConfig'].map((key) => [key, value] as const)),
].map(
  ([key, value]): Row => ({
    title: `"${key}" ${JSON.stringify(value)}`,
    conf: tuning({ [key]: value }),
    call,
    code: 7,
    says: [`"${key}"`, JSON.stringify(value)],
  }),
);

const SYSCTLS: readonly (readonly [string, unknown, string])[] = [
  ['kernel.hostname', 'x', 'below "net"'],
  ['', '1', 'below "net"'],
  ['net', '1', 'below "net"'],
  ['net..core.somaxconn', '1', 'below "net"'],
  ['netx.core', '1', 'below "net"'],
  ['net/../kernel/hostname', 'x', 'leads elsewhere'],
  ['net/ipv4/../../../../etc/hostname', 'x', 'leads elsewhere'],
  ['/net/./core/somaxconn', '1', 'leads elsewhere'],
  ['net.core.somaxconn', '', 'empty'],
  ['net.core.somaxconn', 'a\0b', 'NUL'],
  ['net.core.somaxconn', 5, '5 is not a string'],
  ['net.core.none', '1', '/proc/sys/net/core/none'],
  ['net.core', '1', '/proc/sys/net/core'],
  ['net.core.somaxconn.x', '1', '/proc/sys/net/core/somaxconn/x'],
  ['net.ipv4.conf.other.arp_filter', '1', '/proc/sys/net/ipv4/conf/other/arp_filter'],
];

export const BAD: readonly Row[] = [
  ...WRONG_TYPES,
  ...SYSCTLS.map(
    ([name, value, says]): Row => ({
      title: `sysctl ${JSON.stringify(name)} with ${JSON.stringify(value)}`,
      conf: tuning({ mtu: 1400, sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1', [name]: value } }),
      call,
      code: 7,
      says: [says, /"?sysctl/],
    }),
  ),
  { title: 'broken JSON', conf: '{"name": "a",', code: 6 },
  { title: 'a version that nobody knows', conf: tuning({ cniVersion: '9.9.9' }), call, code: 1 },
  { title: 'no prevResult', conf: tuning({ prevResult: undefined }), call, code: 7, says: ['"prevResult"'] },
  { title: 'a prevResult that is none', conf: tuning({ prevResult: { ips: 7 } }), call, code: 7, says: ['prevResult'] },
  { title: 'an interface that is missing', conf: tuning({ mtu: 1400 }), code: 999, says: ['"net1"'] },
  {
    title: 'a sysctl that the kernel refuses',
    conf: tuning({ mtu: 1400, sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': 'x' } }),
    call,
    code: 999,
    says: ['net/ipv4/conf/lo/arp_filter', 'EINVAL'],
  },
  {
    title: 'an MTU that the kernel refuses',
    conf: tuning({ mtu: 67, promisc: true, txQLen: 5 }),
    prepare: async (lab, pod) => void (await lab.ip(pod.name, 'link add net1 type veth peer name net1-peer')),
    code: 999,
    says: ['the MTU 67', '"net1"', 'EINVAL'],
  },
  {
    title: 'an MTU too small for the IPv6 address',
    conf: tuning({ mtu: 1279, prevResult: previousOf('1.0.0', 'lo', ['fd00::3/64']) }),
    call,
    code: 7,
    says: ['"mtu"', '1279', 'fd00::3/64'],
  },
  {
    title: 'a hardware address for an interface that has none',
    conf: tuning({ mac: '02:00:00:00:00:07' }),
    call,
    code: 7,
    says: ['"mac"', 'has none'],
  },
  ...['02:5e', 'x', ' 02:5e:00:00:00:07', '01:00:5e:00:00:01', '00:00:00:00:00:00'].map(
    (mac): Row => ({
      title: `a hardware address ${JSON.stringify(mac)}`,
      conf: tuning({ mac }),
      call,
      code: 7,
      says: ['"mac"', mac],
    }),
  ),
  {
    title: 'a hardware address of args.cni that is none',
    conf: tuning({ args: { cni: { mac: 'x' } } }),
    call,
    code: 7,
    says: ['"mac"', '"x"'],
  },
  {
    title: 'a malformed hardware address in CNI_ARGS',
    conf: tuning({}),
    call: { ...call, args: 'MAC=nonsense' },
    code: 4,
    says: ['MAC of CNI_ARGS', 'nonsense'],
  },
  {
    title: 'unknown CNI_ARGS',
    conf: tuning({}),
    call: { ...call, args: 'COLOUR=blue' },
    code: 4,
    says: ['COLOUR=blue'],
  },
  { title: 'a relative folder', conf: tuning({ dataDir: 'store' }), call, code: 7, says: ['"dataDir"', '"store"'] },
  {
    title: 'a folder that is a file',
    conf: tuning({ dataDir: '/etc/hostname', mtu: 1400 }),
    call,
    code: 5,
    says: ['/etc/hostname'],
  },
  {
    title: 'a folder on a full disk',
    conf: tuning({ dataDir: '{dir}/disk/x', mtu: 1400 }),
    call,
    prepare: async (lab) => void (await fullDisk(lab, 'x/')),
    code: 5,
    says: ['ENOSPC'],
  },
  {
    title: 'a record that is a folder',
    conf: tuning({ mtu: 1400 }),
    call,
    prepare: (lab) => void mkdirSync(join(lab.dir, 'store/c1_lo.json')),
    code: 5,
    says: ['c1_lo.json'],
  },
  {
    title: 'a namespace that is missing',
    conf: tuning({ mtu: 1400 }),
    call: { ...call, netns: '/run/netns/absent-of-braid' },
    code: 999,
    says: ['/run/netns/absent-of-braid'],
  },
  {
    title: 'a namespace that is a file',
    conf: tuning({ mtu: 1400 }),
    call: { ...call, netns: '/etc/hostname' },
    code: 8,
    says: ['/etc/hostname'],
  },
  {
    title: "the plugin's own namespace",
    conf: tuning({ mtu: 1400 }),
    call: { ...call, netns: '/proc/self/ns/net' },
    code: 8,
    says: ['/proc/self/ns/net'],
  },
];
