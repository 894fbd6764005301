/** Configurations of static that our plugin and Go's are compared with. */
import { VERSIONS } from '../../lab/programs.ts';
import type { Case } from '../../peers/compare.ts';
import { addresses, type Document, distinct, making } from '../../peers/making-cases.ts';

const GIVEN: Document = {
  type: 'static',
  addresses: [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }],
  routes: [{ dst: '0.0.0.0/0' }],
};
const base = (version: string): Document => ({ cniVersion: version, name: 'net-a', type: 'macvlan', ipam: GIVEN });
const { one, across, raw } = making('static', base);

const ipam = (changes: Document): Document => ({ ipam: { ...GIVEN, ...changes } });
const NEWER = VERSIONS.filter((version) => version >= '0.3');
const DNS = { nameservers: ['10.0.0.53'], domain: 'a.example', search: ['a', 'b'], options: ['ndots:2', 'é<&>'] };
const ROUTES = [
  { dst: '10.8.3.7/16', gw: '10.1.2.9', mtu: 1400, advmss: 1300, priority: 50, table: 200, scope: 253 },
  { dst: '::/0', mtu: 0, advmss: 0, priority: 0, table: 0, scope: 0 },
  { dst: '192.0.2.7/32', gw: null, table: null, scope: null },
];

const spec: readonly Case[] = [
  ...across(VERSIONS, 'one address', {}),
  ...across(VERSIONS, 'both families', ipam(addresses(['10.1.2.3/24', '10.1.2.1'], ['fd00:1::3/64', 'fd00:1::1']))),
  ...across(
    VERSIONS,
    'several of a family',
    ipam(addresses('10.1.2.3/24', ['10.1.3.3/25', '10.9.9.9'], '10.1.4.9/32')),
  ),
  ...across(VERSIONS, 'no address', ipam({ addresses: [] })),
  ...across(VERSIONS, 'routes with all attributes', ipam({ routes: ROUTES })),
  ...across(VERSIONS, 'dns', ipam({ dns: DNS })),
  ...across(['', '0.5.0', '0.2', '1', '1.2.0', '2.0.0', 'abc'], 'cniVersion', {}),
  one('STATUS and GC', {}, { version: '1.1.0', verbs: ['STATUS', 'GC', 'ADD', 'GC', 'DEL', 'DEL'] }),
  one('STATUS of a bad configuration', ipam(addresses('x')), { version: '1.1.0', verbs: ['STATUS'] }),
];

const keys: readonly Case[] = [
  ...[undefined, null, 'x', 7, [], { type: 'static' }].map((value) =>
    one(`ipam ${JSON.stringify(value)}`, { ipam: value }),
  ),
  ...[null, 'x', {}, [null], [7], [{}], [{ address: 7 }]].map((value) =>
    one(`addresses ${JSON.stringify(value)}`, ipam({ addresses: value })),
  ),
  ...[
    '10.1.2.3',
    '10.1.2.3/0',
    '10.1.2.255/24',
    '10.1.2.3/33',
    ' 10.1.2.3/24',
    '10.1.2.03/24',
    '::ffff:10.1.2.3/120',
    'FD00:0::3/64',
    'fe80::3%eth0/64',
    '::/0',
  ].map((value) => one(`address ${value}`, ipam(addresses(value)))),
  ...['', null, 7, '10.1.2', '10.9.9.9', 'fd00::1', '::ffff:10.1.2.1'].map((gateway) =>
    one(`gateway ${JSON.stringify(gateway)}`, ipam({ addresses: [{ address: '10.1.2.3/24', gateway }] })),
  ),
  ...[null, 'x', {}, [7], [{}], [{ dst: '' }], [{ dst: '10.8.0.0' }], [{ dst: '10.8.0.0/16', gw: 'x' }]].map((value) =>
    one(`routes ${JSON.stringify(value)}`, ipam({ routes: value })),
  ),
  ...(['mtu', 'advmss', 'priority', 'table', 'scope'] as const).flatMap((key) =>
    [-1, '7', 1.5].map((value) =>
      one(`route ${key} ${JSON.stringify(value)}`, ipam({ routes: [{ dst: '10.8.0.0/16', [key]: value }] })),
    ),
  ),
  ...[null, 'x', [], {}, { nameservers: 'x' }, { domain: 7 }].map((value) =>
    one(`dns ${JSON.stringify(value)}`, ipam({ dns: value })),
  ),
  one('keys in capitals', { ipam: undefined, IPAM: { TYPE: 'static', Addresses: [{ ADDRESS: '10.1.2.3/24' }] } }),
  one('unknown keys', { unknown: 7, ...ipam({ unknown: [], gateway: 'x', range: 'y' }) }),
  raw('broken JSON', '{"name": "a",'),
  raw('no object', '[]'),
];

const withArgs = (args: string, changes: Document = {}) => one(`CNI_ARGS ${args}`, changes, { call: { args } });
const EMPTY = { ipam: { type: 'static' } };

const sources: readonly Case[] = [
  withArgs('IP=10.2.0.5/24'),
  withArgs('IP=10.2.0.5/24, fd02::5/64', EMPTY),
  withArgs('IP=10.2.0.5/24,fd02::5/64;GATEWAY=fd02::1,10.2.0.1', EMPTY),
  withArgs('IP=10.2.0.5/24;GATEWAY=10.2.0.1,10.2.0.2,10.3.0.1', EMPTY),
  withArgs('GATEWAY=10.1.2.9'),
  withArgs('IP=;GATEWAY='),
  withArgs('IP=10.2.0.5'),
  withArgs('IP=10.2.0.5/24,', EMPTY),
  withArgs('GATEWAY=x'),
  withArgs('ip=10.2.0.5/24'),
  withArgs('A=b'),
  withArgs('IgnoreUnknown=1;K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;IP=10.2.0.5/24', EMPTY),
  withArgs('IgnoreUnknown=maybe'),
  withArgs('IP=10.2.0.5/24=x'),
  ...VERSIONS.flatMap((version) => [
    one('args.cni.ips', { args: { cni: { ips: ['10.3.0.5/24', 'fd03::5/64'] } } }, { version }),
    one('runtimeConfig.ips', { runtimeConfig: { ips: ['10.4.0.5/24', 'fd04::5/64'] } }, { version }),
  ]),
  one(
    'all at once',
    { args: { cni: { ips: ['10.3.0.5/24'] } }, runtimeConfig: { ips: ['10.4.0.5/24'] } },
    { call: { args: 'IP=10.2.0.5/24;GATEWAY=10.2.0.1' } },
  ),
  one('args.cni.ips and CNI_ARGS', { args: { cni: { ips: ['10.3.0.5/24'] } } }, { call: { args: 'IP=10.2.0.5/24' } }),
  one('a template that the runtime replaces', { ...ipam(addresses('$IP')), runtimeConfig: { ips: ['10.4.0.5/24'] } }),
  ...[
    null,
    'x',
    [],
    {},
    { cni: null },
    { cni: 'x' },
    { cni: { ips: null } },
    { cni: { ips: 'x' } },
    { cni: { ips: ['x'] } },
  ].map((args) => one(`args ${JSON.stringify(args)}`, { args })),
  ...[null, 'x', [], {}, { ips: null }, { ips: [] }, { ips: [7] }, { ips: ['10.4.0.5'] }].map((runtimeConfig) =>
    one(`runtimeConfig ${JSON.stringify(runtimeConfig)}`, { runtimeConfig }),
  ),
];

const found = (...ips: readonly object[]) => ({ prevResult: { cniVersion: '1.0.0', ips } });
const checking = (title: string, checkWith: Document, changes: Document = {}) =>
  one(`CHECK of ${title}`, changes, { version: '1.0.0', checkWith });

const checks: readonly Case[] = [
  checking('the very same', found({ address: '10.1.2.3/24', gateway: '10.1.2.1' })),
  checking('another prefix', found({ address: '10.1.2.3/16', gateway: '10.1.2.1' })),
  checking('another address', found({ address: '10.1.2.4/24', gateway: '10.1.2.1' })),
  checking('another gateway', found({ address: '10.1.2.3/24', gateway: '10.1.2.2' })),
  checking('no gateway', found({ address: '10.1.2.3/24' })),
  checking('the address twice', found({ address: '10.1.2.3/24' }, { address: '10.1.2.3/24', gateway: '10.1.2.1' })),
  checking('no result', { prevResult: null }),
  checking('a result of another version', { prevResult: { cniVersion: '0.2.0', ip4: { ip: '10.1.2.3/24' } } }),
  checking('a result that is none', { prevResult: 'x' }),
  checking(
    'one gateway more than asked for',
    found({ address: '10.1.2.3/24', gateway: '10.1.2.1' }),
    ipam(addresses('10.1.2.3/24')),
  ),
  ...NEWER.filter((version) => version > '0.3.1').map((version) => one('CHECK after ADD', {}, { version })),
];

export const staticCases = (): readonly Case[] => distinct([...spec, ...keys, ...sources, ...checks]);
