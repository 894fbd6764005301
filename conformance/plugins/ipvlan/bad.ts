/** What ipvlan refuses. */
import { answer, fake } from '../../lab/fakes.ts';
import { type Lab, PARENT } from '../../lab/lab.ts';
import { OURS } from '../../lab/programs.ts';
import type { Row } from '../../lab/refuse.ts';

const STATIC = { type: 'static', addresses: [{ address: '10.1.2.3/24' }] };

export const ipvlan = (more: object) => ({
  cniVersion: '1.0.0',
  name: 'net-a',
  type: 'ipvlan',
  master: PARENT,
  ipam: STATIC,
  ...more,
});
const onNode =
  (...commands: readonly string[]) =>
  async (lab: Lab) => {
    for (const command of commands) {
      await lab.ip(lab.node, command);
    }
  };
const ipamFake = (script: string) => (lab: Lab) => ({ path: [fake(lab, 'fake-ipam', script), ...OURS.path] });
const FAKE = ipvlan({ ipam: { type: 'fake-ipam' } });

const WRONG_TYPES: readonly Row[] = [
  ...(['master', 'mode'] as const).flatMap((key) => [7, true, [], {}].map((value) => [key, value] as const)),
  ...['1500', true, [], {}, 1.5, -1].map((value) => ['mtu', value] as const),
  ...['true', 0, [], {}].map((value) => ['linkInContainer', value] as const),
  ...['x', 7, true, []].flatMap(
    (value) =>
      [
        ['ipam', value],
        ['dns', value],
      ] as const,
  ),
].map(
  ([key, value]): Row => ({
    title: `"${key}" ${JSON.stringify(value)}`,
    conf: ipvlan({ [key]: value }),
    code: 7,
    says: [`"${key}"`, JSON.stringify(value)],
  }),
);

/** Refused before the kernel is asked for anything that it must have ipvlan for. */
export const BAD: readonly Row[] = [
  ...WRONG_TYPES,
  { title: 'broken JSON', conf: '{"name": "a",', code: 6 },
  { title: 'a version that nobody knows', conf: ipvlan({ cniVersion: '9.9.9' }), code: 1 },
  ...['L2', 'bridge', 'l4'].map(
    (mode): Row => ({ title: `the mode ${mode}`, conf: ipvlan({ mode }), code: 7, says: ['"mode"', mode, '"l3s"'] }),
  ),
  { title: 'an mtu too big', conf: ipvlan({ mtu: 9000 }), code: 7, says: ['"mtu"', '9000', '1500'] },
  { title: 'a parent that is missing', conf: ipvlan({ master: 'absent0' }), code: 7, says: ['"master"', 'absent0'] },
  { title: 'no parent and no default route', conf: ipvlan({ master: '' }), code: 7, says: ['"master"'] },
  {
    title: 'a parent on the node that shall be in the container',
    conf: ipvlan({ linkInContainer: true }),
    code: 7,
    says: ['"master"', PARENT],
  },
  ...[undefined, {}, { type: '' }].map(
    (ipam): Row => ({
      title: `ipam ${JSON.stringify(ipam) ?? 'absent'}`,
      conf: ipvlan({ ipam }),
      code: 7,
      says: ['"ipam.type"'],
    }),
  ),
  {
    title: 'a previous result without addresses, and no ipam',
    conf: ipvlan({ ipam: undefined, prevResult: { cniVersion: '1.0.0', interfaces: [{ name: PARENT }] } }),
    code: 7,
    says: ['"ipam.type"', 'prevResult'],
  },
  {
    title: 'a previous result with two interfaces, and no master',
    conf: ipvlan({ master: '', prevResult: { cniVersion: '1.0.0', interfaces: [{ name: 'a' }, { name: 'b' }] } }),
    code: 7,
    says: ['"master"', '2 interfaces'],
  },
  {
    title: 'a previous result whose interface is not there',
    conf: ipvlan({ master: '', prevResult: { cniVersion: '1.0.0', interfaces: [{ name: 'absent0' }] } }),
    code: 7,
    says: ['absent0'],
  },
  {
    title: 'a namespace that is missing',
    conf: ipvlan({}),
    call: { netns: '/run/netns/absent-of-braid' },
    code: 999,
    says: ['/run/netns/absent-of-braid'],
  },
  { title: 'a namespace that is a file', conf: ipvlan({}), call: { netns: '/etc/hostname' }, code: 8 },
  {
    title: "the plugin's own namespace",
    conf: ipvlan({}),
    call: { netns: '/proc/self/ns/net' },
    code: 8,
    says: ['/proc/self/ns/net'],
  },
];

/** Refused by a kernel that has ipvlan, or by what comes after it. */
export const BAD_FOR_THE_KERNEL: readonly Row[] = [
  {
    title: 'a parent that is enslaved',
    conf: ipvlan({}),
    prepare: onNode('link add br9 type bridge', `link set ${PARENT} master br9`),
    code: 999,
    says: ['EBUSY', `parent "${PARENT}" is enslaved to a bridge`],
  },
  {
    title: 'a parent that has a macvlan',
    conf: ipvlan({}),
    prepare: onNode(`link add mv9 link ${PARENT} type macvlan`),
    code: 999,
    says: ['EBUSY', `parent "${PARENT}" gives its frames to macvlan "mv9"`],
  },
  {
    title: 'a loopback parent',
    conf: ipvlan({ master: 'lo' }),
    code: 999,
    says: ['EINVAL', 'parent "lo" is the loopback'],
  },
  {
    title: 'a parent without Ethernet',
    conf: ipvlan({ master: 'tun9' }),
    prepare: onNode('tuntap add tun9 mode tun'),
    code: 999,
    says: ['EINVAL', 'parent "tun9" is not an Ethernet device'],
  },
  {
    title: 'an address that a sibling has',
    conf: ipvlan({}),
    prepare: onNode(`link add iv9 link ${PARENT} type ipvlan mode l2`, 'addr add 10.1.2.3/24 dev iv9'),
    code: 999,
    says: ['10.1.2.3/24', 'EADDRINUSE', `parent "${PARENT}" has another ipvlan with this address`],
  },
  { title: 'an mtu too small for the kernel', conf: ipvlan({ mtu: 67 }), code: 999, says: ['net1', 'EINVAL'] },
  {
    title: 'a name that is taken',
    conf: ipvlan({}),
    prepare: (lab, pod) => lab.ip(pod.name, 'link add net1 type bridge').then(() => undefined),
    code: 999,
    says: ['EEXIST', '"net1" is taken there by a bridge'],
  },
  {
    title: 'an IPAM plugin that is missing',
    conf: ipvlan({ ipam: { type: 'absent-ipam' } }),
    code: 999,
    says: ['"absent-ipam"', /failed to find plugin/],
  },
  {
    title: 'an IPAM plugin that asks for patience',
    conf: FAKE,
    prepare: ipamFake(`echo '{"code":11,"msg":"later"}'; exit 1`),
    code: 11,
    says: ['later'],
  },
  {
    title: 'an IPAM plugin that gives no address',
    conf: FAKE,
    prepare: ipamFake(answer({ cniVersion: '1.0.0', ips: [] })),
    code: 999,
    says: ['fake-ipam', 'no IP address'],
  },
  {
    title: 'a route that leads nowhere',
    conf: FAKE,
    prepare: ipamFake(
      answer({
        cniVersion: '1.0.0',
        ips: [{ address: '10.1.2.3/24' }],
        routes: [{ dst: '10.8.0.0/16', gw: '192.0.2.1' }],
      }),
    ),
    code: 999,
    says: ['10.8.0.0/16', '192.0.2.1', 'ENETUNREACH'],
  },
];
