/** Configurations of macvlan that our plugin and Go's are compared with. */

import { PARENT } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import { childBase, childCases } from '../../peers/child-cases.ts';
import type { Case } from '../../peers/compare.ts';
import { addresses, distinct, ipam, making, show } from '../../peers/making-cases.ts';

const MAC = '02:5e:00:00:00:07';
const STATIC = childBase('macvlan')('1.0.0')['ipam'];

const { one, across, values } = making('macvlan', childBase('macvlan'));

const spec: readonly Case[] = [
  ...across(
    VERSIONS,
    'hardware address of the runtime',
    { mac: '02:5e:00:00:00:01', runtimeConfig: { mac: MAC } },
    { macs: [MAC] },
  ),
  ...across(VERSIONS, 'no ipam', { ipam: undefined }),
];

const linkKeys: readonly Case[] = [
  ...values('mode', [
    undefined,
    null,
    '',
    'bridge',
    'private',
    'vepa',
    'passthru',
    'Bridge',
    'source',
    ' bridge',
    4,
    true,
    [],
    {},
  ]),
  ...values('mtu', [
    null,
    0,
    68,
    1280,
    1499,
    1500,
    1501,
    9000,
    67,
    1,
    -1,
    1.5,
    '1400',
    true,
    [],
    {},
    2147483648,
    4294967296,
    1e300,
    2 ** 53,
  ]),
  ...values('mac', [null, '', MAC.toUpperCase(), '02-5e-00-00-00-07', '025e.0000.0007'], { macs: [MAC] }),
  ...values('mac', [
    '02:5e:00:00:00',
    '02:5e:00:00:00:07:08:09',
    'zz:5e:00:00:00:07',
    '2:5e:0:0:0:7',
    ' 02:5e:00:00:00:07',
    '02:5e:00-00:00:07',
    '025e00000007',
    'none',
    7,
    true,
    [],
  ]),
  ...values('mac', ['01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00', '03:5e:00:00:00:07']),
  ...values('bcqueuelen', [null, 0, 1, 1000, 5000, 4294967295, 4294967296, -1, 1.5, '5', true]),
  ...values('master', [
    'absent0',
    'par-peer',
    'lo',
    PARENT.toUpperCase(),
    ` ${PARENT}`,
    'a-name-of-more-than-fifteen-bytes',
    'x/y',
    7,
    true,
    [],
    {},
  ]),
  ...values('linkInContainer', [null, false, 'false', 'true', 0, 1, {}]),
  one('mtu written 1400.0', {}, {}),
  one('name of an existing link of the node', {}, { call: { ifName: PARENT } }),
];

const masters: readonly Case[] = [
  one('no master and no default route', { master: undefined }),
  one(
    'empty master and a default route',
    { master: '' },
    { prepare: ['node: addr add 10.50.0.2/24 dev par', 'node: route add default via 10.50.0.1'] },
  ),
  one(
    'null master and an IPv6 default route',
    { master: null },
    { prepare: ['node: -6 route add default via fe80::1 dev par'] },
  ),
  one(
    'no master and default routes with metrics',
    { master: '' },
    {
      prepare: [
        'node: link add par2 type veth peer name par2-peer',
        'node: link set par2 up',
        'node: route add default dev par2 metric 50',
        'node: route add default dev par metric 200',
      ],
    },
  ),
  one(
    'no master and a default route in another table',
    { master: '' },
    { prepare: ['node: route add default dev par table 100'] },
  ),
  one(
    'no master and a default route of several ways',
    { master: '' },
    {
      prepare: [
        'node: addr add 10.50.0.2/24 dev par',
        'node: route add default nexthop via 10.50.0.1 nexthop via 10.50.0.3',
      ],
    },
  ),
  one('no master and a blackhole for default', { master: '' }, { prepare: ['node: route add blackhole default'] }),
  one(
    'no master and a default route found in CHECK no more',
    { master: '' },
    { version: '1.0.0', prepare: ['node: route add default dev par'], meanwhile: ['node: route del default'] },
  ),
  one(
    'master by an alternative name',
    { master: 'the-uplink-of-this-node' },
    { prepare: ['node: link property add dev par altname the-uplink-of-this-node'] },
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
    'master that is a macvlan',
    { master: 'mv9' },
    { prepare: ['node: link add mv9 link par type macvlan mode bridge', 'node: link set mv9 up'] },
  ),
  one(
    'master with another macvlan in passthru',
    {},
    { prepare: ['node: link add mv9 link par type macvlan mode passthru'] },
  ),
  one('passthru with a hardware address', { mode: 'passthru', mac: '02:5e:00:00:00:17' }),
  one(
    'passthru while there is another macvlan',
    { mode: 'passthru' },
    { prepare: ['node: link add mv9 link par type macvlan mode bridge'] },
  ),
  one(
    'another mode than its sibling',
    { mode: 'vepa' },
    { prepare: ['node: link add mv9 link par type macvlan mode private'] },
  ),
  one(
    'hardware address of a sibling that is up',
    { mac: MAC },
    { prepare: [`node: link add mv9 link par address ${MAC} type macvlan mode bridge`, 'node: link set mv9 up'] },
  ),
  one('hardware address of the parent', { mac: '02:00:00:00:00:01' }),
  one('mtu of a small parent', { mtu: 1300 }, { prepare: ['node: link set par mtu 1200'] }),
  one('no mtu on a small parent', {}, { prepare: ['node: link set par mtu 1200'] }),
  one(
    'parent that shrinks below the mtu',
    { mtu: 1400 },
    { version: '1.0.0', meanwhile: ['node: link set par mtu 1300'] },
  ),
  one('parent that is gone before CHECK', {}, { version: '1.0.0', meanwhile: ['node: link del par'] }),
  one('parent that is gone before DEL', {}, { version: '0.3.1', meanwhile: ['node: link del par'] }),
  ...across(
    VERSIONS,
    'parent in the container',
    { linkInContainer: true, master: 'inner' },
    { prepare: ['pod: link add inner type bridge', 'pod: link set inner addrgenmode none', 'pod: link set inner up'] },
  ),
  one('parent in the container that is on the node only', { linkInContainer: true }),
  one(
    'default route in the container',
    { linkInContainer: true, master: '' },
    {
      prepare: [
        'pod: link add inner type bridge',
        'pod: link set inner addrgenmode none',
        'pod: link set inner up',
        'pod: route add default dev inner',
      ],
    },
  ),
  one(
    'mtu above that of the parent in the container',
    { linkInContainer: true, master: 'inner', mtu: 1400 },
    { prepare: ['pod: link add inner mtu 1300 type bridge'] },
  ),
];

const args: readonly Case[] = [
  ...[
    `X=y;MAC=${MAC};IgnoreUnknown=1`,
    `IgnoreUnknown=true;K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;MAC=${MAC}`,
    'IgnoreUnknown=TRUE;mac=02:5e:00:00:00:01',
    'IgnoreUnknown=1',
  ].map((text) => one(`CNI_ARGS ${text}`, {}, { call: { args: text }, macs: [MAC] })),
  ...[`MAC=${MAC}`, `MAC=02:5e:00:00:00:01;MAC=${MAC}`].map((text) =>
    one(`CNI_ARGS ${text} without ipam`, { ipam: undefined }, { version: '0.4.0', call: { args: text }, macs: [MAC] }),
  ),
  ...[
    'MAC=a=b',
    'MAC=a;',
    ';',
    'MAC',
    '=',
    '=x',
    'MAC=',
    'X=y',
    'mac=02:5e:00:00:00:01',
    ' MAC=02:5e:00:00:00:07',
    'IgnoreUnknown=yes',
    'IgnoreUnknown=',
    'X=y;IgnoreUnknown=0',
    'X=y;IgnoreUnknown=1;IgnoreUnknown=0',
    'MAC=01:00:5e:00:00:01',
    'MAC=nonsense',
  ].map((text) => one(`CNI_ARGS ${text}`, {}, { call: { args: text } })),
  one(
    'CNI_ARGS over the configuration',
    { mac: '02:5e:00:00:00:01' },
    { call: { args: `IgnoreUnknown=1;MAC=${MAC}` }, macs: [MAC] },
  ),
  one(
    'runtime over CNI_ARGS',
    { runtimeConfig: { mac: MAC } },
    { call: { args: 'IgnoreUnknown=1;MAC=02:5e:00:00:00:01' }, macs: [MAC] },
  ),
  one('address by CNI_ARGS', ipam(addresses('10.1.2.3/24')), {
    version: '1.0.0',
    call: { args: 'IgnoreUnknown=1;IP=10.1.2.9/24;GATEWAY=10.1.2.1' },
  }),
  one(
    'malformed CNI_ARGS in DEL',
    { ipam: undefined },
    { version: '1.0.0', call: { args: 'MAC=a=b' }, verbs: ['DEL'] },
  ),
];

const runtimeConfigs: readonly Case[] = [
  ...[
    null,
    {},
    { mac: null },
    { mac: '' },
    { ips: ['10.1.2.9/24'] },
    { portMappings: [{ HostPort: 1 }] },
    { mac: MAC, bandwidth: {} },
  ].map((value) => one(`runtimeConfig ${show(value)}`, { runtimeConfig: value }, { macs: [MAC] })),
  ...['x', 7, 1.5, [], true, { mac: 7 }, { mac: 1.5 }, { mac: 'nonsense' }].map((value) =>
    one(`runtimeConfig ${show(value)}`, { runtimeConfig: value }),
  ),
  one(
    'capitalised keys',
    {
      master: undefined,
      ipam: undefined,
      Master: PARENT,
      MTU: 1400,
      Mode: 'vepa',
      RuntimeConfig: { Mac: MAC },
      IPAM: STATIC,
    },
    { macs: [MAC] },
  ),
  one('keys in other letters, the last wins', { mtu: 9000, MTU: 1300, mODE: 'private', mode: 'vepa' }),
  one('args.cni.ips', { args: { cni: { ips: ['10.1.2.77/24'] } } }),
  one('unknown keys', {
    cookie: [1, { a: null }],
    'cni.dev/attachments': 'x',
    capabilities: { mac: true },
    __proto__: 1,
  }),
];

const checks: readonly Case[] = ['0.4.0', '1.0.0', '1.1.0'].flatMap((version) => [
  one('another mode before CHECK', {}, { version, meanwhile: ['pod: link set net1 type macvlan mode private'] }),
  one(
    'another hardware address before CHECK',
    {},
    {
      version,
      meanwhile: [
        'pod: link set net1 down',
        'pod: link set net1 address 02:5e:00:00:00:99',
        'pod: link set net1 up',
        'pod: route add default via 10.1.2.1',
      ],
    },
  ),
  one('another mode in CHECK', {}, { version, checkWith: { mode: 'vepa' } }),
]);

/** @returns all of them, each title once */
export function macvlanCases(): readonly Case[] {
  return distinct([
    ...spec.map((each) => ({ ...each, dels: 2 })),
    ...linkKeys,
    ...masters,
    ...args,
    ...runtimeConfigs,
    ...checks,
    ...childCases('macvlan'),
  ]);
}
