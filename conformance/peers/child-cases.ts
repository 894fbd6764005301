/** Configurations of a link on a parent, whatever its kind, that a plugin of ours and Go's are compared with. */

import { PARENT } from '../lab/lab.ts';
import { VERSIONS, type Version } from '../lab/programs.ts';
import type { Case } from './compare.ts';
import { addresses, type Document, hostLocal, ipam, making, show } from './making-cases.ts';

const STATIC: Document = {
  type: 'static',
  addresses: [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }],
  routes: [{ dst: '0.0.0.0/0' }],
};
const NEWER: readonly Version[] = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/** What every configuration has, before a case changes it. */
export const childBase =
  (plugin: string) =>
  (version: string): Document => ({ cniVersion: version, name: 'net-a', type: plugin, master: PARENT, ipam: STATIC });

/** Stands for the plugin. */
const ANY = 'any-kind';
const base = childBase(ANY);
const { one, across, raw } = making(ANY, base);

const spec: readonly Case[] = [
  ...across(VERSIONS, 'static address', {}),
  ...across(
    VERSIONS,
    'host-local address',
    hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] }),
  ),
  ...across(
    VERSIONS,
    'both families',
    ipam(addresses(['10.1.2.3/24', '10.1.2.1'], ['fd00:1::3/64', 'fd00:1::1']), {
      routes: [{ dst: '::/0' }, { dst: '0.0.0.0/0' }],
    }),
  ),
  ...across(VERSIONS, 'IPv6 only', ipam(addresses('fd00:2::3/64'))),
  ...across(VERSIONS, 'dns', {
    dns: { nameservers: ['10.0.0.1', 'fd00::53'], domain: 'a.example', search: ['b.example'], options: ['ndots:5'] },
  }),
  ...across(
    VERSIONS,
    'routes with attributes of 1.1',
    ipam(addresses(['10.1.2.3/24', '10.1.2.1']), {
      routes: [{ dst: '10.9.0.0/16', gw: '10.1.2.1', priority: 30, table: 100, scope: 0 }],
    }),
  ),
  ...across(
    NEWER,
    'several addresses of a family',
    ipam(addresses('10.1.2.3/24', ['10.1.3.3/24', '10.1.3.1'], '10.1.4.3/32'), { routes: [{ dst: '10.8.0.0/16' }] }),
  ),
  ...across(
    ['', '0.5.0', '0.2', '1', '1.1', '1.1.0.0', '1.2.0', '2.0.0', 'v1.0.0', '1.0.0-rc1', ' 1.0.0', 'abc', '00.04.00'],
    'cniVersion',
    {},
  ),
  one('cniVersion absent', { cniVersion: undefined }, { version: '' }),
  one('cniVersion null', { cniVersion: null }, { version: '' }),
  one('cniVersion a number', { cniVersion: 1 }, { version: '1' }),
  one('cniVersion a list', { cniVersion: ['1.0.0'] }, { version: '1' }),
];

const documents: readonly Case[] = [
  ...['name', 'type', 'ipam', 'dns', 'prevResult', 'capabilities', 'args'].flatMap((key) =>
    [null, '', 'x', 7, 1.5, 1e300, true, [], {}, [1], { a: 1 }].map((value) =>
      one(`${key} ${show(value)}`, { [key]: value }, { version: '1.0.0' }),
    ),
  ),
  ...['a', 'A1', '0', 'a.b-c_d', '.a', '-a', '_a', 'a b', 'a/b', '../x', 'ä', `n${'a'.repeat(300)}`, 'a\n'].map(
    (name) => one(`name ${show(name)}`, { name }),
  ),
  ...[
    { nameservers: [] },
    { nameservers: null, search: ['a'] },
    { domain: '' },
    { domain: null },
    { NameServers: ['10.0.0.1'] },
    { options: ['a', ''] },
    { unknown: 1 },
    { nameservers: ['not an address'] },
  ].map((dns) => one(`dns ${show(dns)}`, { dns })),
  ...[{ nameservers: 'x' }, { domain: 7 }, { search: [7] }, { options: {} }].map((dns) =>
    one(`dns ${show(dns)}`, { dns }),
  ),
  one('dns without ipam', { ipam: undefined, dns: { domain: 'a.example' } }, { version: '1.1.0' }),
  one('dns of the IPAM plugin', ipam(addresses('10.1.2.3/24'), { dns: { domain: 'ipam.example' } })),
  one(
    'a previous result in ADD',
    { prevResult: { cniVersion: '1.0.0', interfaces: [{ name: 'x' }], ips: [{ address: '10.3.3.3/24' }] } },
    { version: '1.0.0' },
  ),
  one('a previous result of another family in ADD', { prevResult: { cniVersion: '0.4.0' } }, { version: '1.0.0' }),
];

const good = JSON.stringify(base('1.0.0'));
const bytes: readonly Case[] = [
  raw('no bytes', ''),
  raw('white space', ' \n'),
  raw('null', 'null'),
  raw('a number', '7'),
  raw('a list', '[]'),
  raw('a text', '"x"'),
  raw('half a document', good.slice(0, -5)),
  raw('trailing bytes', `${good} x`),
  raw('a second document', `${good}${good}`),
  raw('trailing white space', `${good}\n\t \r\n`),
  raw('a trailing NUL', `${good}\0`),
  raw('a byte order mark', `\uFEFF${good}`),
  raw('a trailing comma', good.replace('}', ',}')),
  raw('single quotes', good.replaceAll('"', "'")),
  raw('a comment', `/* x */${good}`),
  raw('no-break space before', `\u00a0${good}`),
  raw(
    'invalid UTF-8 in an unknown key',
    Buffer.concat([
      Buffer.from(good.slice(0, -1)),
      Buffer.from(',"x":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}'),
    ]),
  ),
  raw('a lone surrogate', good.replace('"net-a"', '"net-a","x":"\\ud800"')),
  raw('a control character', good.replace('"net-a"', '"net-a","x":"\n"')),
  raw('doubled keys, the last wins', good.replace('"net-a"', '"net-a","mtu":9999,"mtu":1300')),
  raw('a number in exponent form', good.replace('"net-a"', '"net-a","mtu":1.4e3')),
  raw('a number with a zero fraction', good.replace('"net-a"', '"net-a","mtu":1400.0')),
  raw('a number with a leading zero', good.replace('"net-a"', '"net-a","mtu":01400')),
  raw('a big number of an unknown key', good.replace('"net-a"', '"net-a","x":123456789012345678901234567890')),
  raw('minus zero', good.replace('"net-a"', '"net-a","mtu":-0')),
  raw('NaN', good.replace('"net-a"', '"net-a","mtu":NaN')),
  raw('deep nesting', good.replace('"net-a"', `"net-a","x":${'['.repeat(5000)}${']'.repeat(5000)}`)),
  raw('one megabyte', good.replace('"net-a"', `"net-a","x":"${'a'.repeat(1 << 20)}"`)),
  raw('the key __proto__', good.replace('"net-a"', '"net-a","__proto__":{"mtu":9999,"mode":"x"}')),
  raw(
    'the key constructor',
    good.replace('"net-a"', '"net-a","constructor":7,"toString":null,"ipam2":{"__proto__":[]}'),
  ),
];

const names: readonly Case[] = [
  ...[
    'a',
    'abcdefghijklmno',
    'abcdefghijklmnop',
    'eth0.5',
    '..',
    '.',
    'a/b',
    'a:b',
    'a b',
    'a\tb',
    'a\u0085b',
    'a\u00a0b',
    'a\u3000b',
    'a\ufeffb',
    'éééééééé',
    'ééééééé',
    'lo',
    'net%d',
    '%d',
    '-x',
    '"',
    'all',
    'default',
  ].map((ifName) => one(`interface name ${show(ifName)}`, { ipam: undefined }, { version: '1.0.0', call: { ifName } })),
  one('interface name with routes', {}, { call: { ifName: 'eth0.5' } }),
  ...['c', 'C.1_2-3', '-c', '.c', 'c/1', 'c 1', 'ä', 'c'.repeat(500)].map((containerId) =>
    one(
      `container ID ${show(containerId).slice(0, 20)}`,
      { ipam: undefined },
      { version: '1.0.0', call: { containerId } },
    ),
  ),
  one('interface name taken by a veth', {}, { prepare: ['pod: link add net1 type veth peer name net1-peer'] }),
  one(
    'interface name taken by a bridge',
    { ipam: undefined },
    { version: '0.4.0', prepare: ['pod: link add net1 type bridge'] },
  ),
  one(
    'interface name taken by an alternative name',
    {},
    { prepare: ['pod: link add other type bridge', 'pod: link property add dev other altname net1'] },
  ),
  one('interface name that the node has too', {}, { prepare: ['node: link add net1 type bridge'] }),
  one(
    'DEL of a link of another kind',
    { ipam: undefined },
    { version: '1.0.0', verbs: ['DEL'], prepare: ['pod: link add net1 type bridge'] },
  ),
  one('ADD twice', {}, { verbs: ['ADD', 'ADD', 'DEL', 'DEL'] }),
  one('ADD twice with host-local', hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }), {
    version: '1.0.0',
    verbs: ['ADD', 'ADD', 'DEL', 'DEL'],
  }),
  one('DEL without ADD', hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }), { verbs: ['DEL', 'DEL'] }),
];

const netnses: readonly Case[] = [
  ...[
    '/run/netns/absent-of-braid',
    '/proc/1/ns/absent',
    '/etc/hostname',
    '/etc',
    '/proc/self/ns/mnt',
    'relative/path',
    '{pod}/x',
    '/proc/self/status',
  ].flatMap((netns) =>
    [['ADD', 'DEL'], ['DEL']].map((verbs) =>
      one(`namespace ${netns}, ${verbs.join(' ')}`, {}, { version: '1.0.0', netns, verbs }),
    ),
  ),
  one('own namespace', {}, { version: '1.0.0', netns: '/proc/self/ns/net', verbs: ['ADD'] }),
  one(
    'own namespace with override',
    { ipam: undefined },
    { version: '1.0.0', netns: '/proc/self/ns/net', verbs: ['ADD', 'DEL'], call: { env: { CNI_NETNS_OVERRIDE: '1' } } },
  ),
  one('DEL of the own namespace', {}, { version: '1.0.0', netns: '/proc/self/ns/net', verbs: ['DEL'] }),
  one('DEL without a namespace', hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }), {
    version: '1.0.0',
    netns: '',
    verbs: ['DEL'],
  }),
  one('ADD without a namespace', {}, { version: '1.0.0', netns: '', verbs: ['ADD'] }),
  one('DEL without a namespace after ADD', hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }), {
    version: '1.0.0',
    meanwhile: [],
    verbs: ['ADD', 'DEL', 'DEL'],
  }),
];

const ipams: readonly Case[] = [
  ...[
    {},
    { type: '' },
    { type: null },
    { Type: 'static', Addresses: [{ Address: '10.1.2.3/24' }] },
    { type: 7 },
    { type: 'absent-ipam' },
    { type: 'a/b' },
    { type: '../static' },
    { type: '.' },
  ].map((value) => one(`ipam ${show(value)}`, { ipam: value }, { version: '1.0.0' })),
  ...[
    [],
    ['10.1.2.3'],
    ['10.1.2.3/33'],
    ['x'],
    ['10.1.2.0/24'],
    ['10.1.2.255/24'],
    ['0.0.0.0/0'],
    ['10.1.2.3/31'],
    ['10.1.2.3/32'],
    ['10.1.2.3/8'],
    ['127.0.0.2/8'],
    ['224.0.0.1/24'],
    ['255.255.255.255/32'],
    ['10.1.2.3/24', '10.1.2.3/24'],
    ['10.1.2.3/24', '10.1.2.4/24'],
    ['10.1.2.3/24', '10.1.2.3/25'],
    ['fd00::3/128'],
    ['::ffff:10.1.2.3/120'],
    ['fe80::5/64'],
    ['ff02::5/64'],
    ['::1/128'],
    ['::/64'],
    ['FD00:0:0::0A/64'],
    ['fd00::1/64', 'fd00::2/64', '10.1.2.3/24'],
    ['010.1.2.3/24'],
    ['fd00::10.1.2.3/64'],
    ['fd00::1%net1/64'],
  ].map((list) => one(`addresses ${show(list)}`, ipam(addresses(...list)), { version: '1.0.0' })),
  one('gateway outside the subnet', ipam(addresses(['10.1.2.3/24', '10.9.9.9']), { routes: [{ dst: '0.0.0.0/0' }] })),
  one(
    'gateways of both families',
    ipam(addresses('10.1.2.3/24', ['10.1.3.3/24', '10.1.3.1'], ['fd00::3/64', 'fd00::1']), {
      routes: [{ dst: '10.8.0.0/16' }, { dst: 'fd08::/16' }, { dst: '10.7.0.0/16', gw: '10.1.2.254' }],
    }),
    { version: '1.1.0' },
  ),
  ...[
    { subnet: '10.7.0.0/30' },
    { subnet: '10.7.0.0/31' },
    { subnet: '10.7.0.1/24' },
    { subnet: '10.7.0.0/24', rangeStart: '10.7.0.9', rangeEnd: '10.7.0.9' },
    { subnet: '10.7.0.0/24', gateway: '10.7.0.254' },
    { subnet: 'fd07::/64' },
    {},
    { subnet: 'x' },
  ].map((range) => one(`host-local range ${show(range)}`, hostLocal({ ranges: [[range]] }))),
  one(
    'host-local with two ranges',
    hostLocal({
      ranges: [[{ subnet: '10.7.0.0/24' }], [{ subnet: 'fd07::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    }),
    { version: '0.4.0' },
  ),
  one('host-local with the address that was asked for', {
    ...hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }),
    args: { cni: { ips: ['10.7.0.77'] } },
  }),
];

const routeCases: readonly Case[] = [
  ...[
    [{ dst: '10.8.0.0/16' }],
    [{ dst: '10.8.0.0/16', gw: '10.1.2.254' }],
    [{ dst: '10.8.0.0/16', gw: '' }],
    [{ dst: '10.8.0.0/16', gw: null }],
    [
      { dst: '0.0.0.0/0', gw: '10.1.2.254' },
      { dst: '0.0.0.0/0', gw: '10.1.2.253' },
    ],
    [
      { dst: '10.8.0.0/16', gw: '10.1.2.254' },
      { dst: '10.8.0.0/16', gw: '10.1.2.253' },
    ],
    [{ dst: '10.8.0.0/16' }, { dst: '10.8.0.0/16' }],
    [{ dst: '10.8.0.5/16' }],
    [{ dst: '10.8.0.5/32' }],
    [{ dst: '10.8.0.5' }],
    [{ dst: '' }],
    [{ dst: null }],
    [{}],
    [{ gw: '10.1.2.1' }],
    [{ dst: '10.8.0.0/16', gw: '10.99.0.1' }],
    [
      { dst: '10.99.0.1/32', scope: 253 },
      { dst: '10.8.0.0/16', gw: '10.99.0.1' },
    ],
    [{ dst: '10.8.0.0/16', gw: '10.1.2.1', scope: 253 }],
    [{ dst: '10.8.0.0/16', gw: 'x' }],
    [{ dst: '10.8.0.0/16', gw: 7 }],
    [{ dst: '10.1.2.0/24' }],
    [{ dst: '10.1.2.0/24', gw: '10.1.2.1' }],
    [{ dst: '169.254.0.0/16', scope: 253 }],
    [{ dst: '10.8.0.0/16', table: 0 }],
    [{ dst: '10.8.0.0/16', table: 255 }],
    [{ dst: '10.8.0.0/16', table: 256 }],
    [{ dst: '10.8.0.0/16', table: 4294967295 }],
    [{ dst: '10.8.0.0/16', table: -1 }],
    [{ dst: '10.8.0.0/16', priority: 0 }],
    [{ dst: '10.8.0.0/16', priority: 4000000000 }],
    [{ dst: '10.8.0.0/16', priority: -1 }],
    [{ dst: '10.8.0.0/16', priority: 'x' }],
    [
      { dst: '10.8.0.0/16', priority: 5 },
      { dst: '10.8.0.0/16', priority: 6 },
    ],
    [{ dst: '10.8.0.0/16', mtu: 1300 }],
    [{ dst: '10.8.0.0/16', advmss: 1200 }],
    [{ dst: '10.8.0.0/16', mtu: 1300, advmss: 1200, priority: 7, table: 77 }],
    [{ dst: '10.8.0.0/16', mtu: -1 }],
    [{ dst: '10.8.0.0/16', scope: 300 }],
    [{ dst: '10.8.0.0/16', scope: 254 }],
    [{ dst: '10.8.0.0/16', unknown: 1 }],
    [{ Dst: '10.8.0.0/16', GW: '10.1.2.1' }],
    [{ dst: '224.0.0.0/4' }],
    [{ dst: '127.0.0.0/8' }],
    [{ dst: '10.8.0.0/16', gw: 'fd00::1' }],
    [{ dst: 'fd08::/16' }],
    [{ dst: '::ffff:10.8.0.0/112' }],
    null,
    [],
    [null],
    'x',
    [7],
  ].map((routes) =>
    one(`routes ${show(routes)}`, ipam(addresses(['10.1.2.3/24', '10.1.2.1']), { routes }), { version: '1.1.0' }),
  ),
  ...[
    [{ dst: 'fd08::/16' }],
    [{ dst: 'fd08::5/16', gw: 'fd00::9' }],
    [
      { dst: '::/0', gw: 'fd00::9' },
      { dst: '::/0', gw: 'fd00::8' },
    ],
    [{ dst: 'fd08::/16', priority: 99 }],
    [{ dst: 'fd08::/16', table: 300, priority: 1 }],
    [{ dst: 'fd08::/16', mtu: 1300 }],
    [{ dst: 'fd08::/16', gw: 'fe80::1' }],
    [{ dst: 'fd08::/16', gw: 'fd99::1' }],
    [{ dst: 'fd08::/16' }, { dst: 'fd08::/16' }],
    [{ dst: 'FD08:0::/16' }],
    [{ dst: 'ff05::/16' }],
  ].map((routes) =>
    one(`IPv6 routes ${show(routes)}`, ipam(addresses(['fd00::3/64', 'fd00::1']), { routes }), { version: '1.1.0' }),
  ),
];

const checks: readonly Case[] = [
  ...['0.4.0', '1.0.0', '1.1.0'].flatMap((version) => [
    ...[
      'pod: link set net1 down',
      'pod: addr del 10.1.2.3/24 dev net1',
      'pod: route del default',
      'pod: link set net1 mtu 1400',
      'pod: link del net1',
      'pod: addr add 10.1.2.44/24 dev net1',
    ].map((command) => one(`${command.slice(5)} before CHECK`, {}, { version, meanwhile: [command] })),
    one(
      'another name before CHECK',
      {},
      { version, meanwhile: ['pod: link set net1 down', 'pod: link set net1 name net9', 'pod: link set net9 up'] },
    ),
    one(
      'another kind of link before CHECK',
      {},
      {
        version,
        meanwhile: [
          'pod: link del net1',
          'pod: link add net1 type bridge',
          'pod: addr add 10.1.2.3/24 dev net1',
          'pod: link set net1 up',
          'pod: route add default via 10.1.2.1',
        ],
      },
    ),
    one('another master in CHECK', {}, { version, checkWith: { master: 'par-peer' } }),
    one('mtu too big in CHECK', {}, { version, checkWith: { mtu: 9000 } }),
    one('no previous result in CHECK', {}, { version, checkWith: { prevResult: undefined } }),
    one('an empty previous result in CHECK', {}, { version, checkWith: { prevResult: {} } }),
    one(
      'a previous result of another family in CHECK',
      {},
      { version, checkWith: { prevResult: { cniVersion: version === '0.4.0' ? '1.0.0' : '0.4.0', interfaces: [] } } },
    ),
    one('a previous result that is a text in CHECK', {}, { version, checkWith: { prevResult: 'x' } }),
  ]),
  one(
    'route to another gateway before CHECK',
    ipam(addresses('10.1.2.3/24'), { routes: [{ dst: '10.8.0.0/16', gw: '10.1.2.1' }] }),
    { version: '1.0.0', meanwhile: ['pod: route replace 10.8.0.0/16 via 10.1.2.2'] },
  ),
  one('host address and CHECK', ipam(addresses('10.1.2.3/32')), { version: '1.0.0' }),
  one('IPAM state gone before CHECK', hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }), {
    version: '1.0.0',
    checkWith: { ipam: { type: 'host-local', dataDir: '/nowhere', ranges: [[{ subnet: '10.7.0.0/24' }]] } },
  }),
];

const verbs: readonly Case[] = [
  ...VERSIONS.flatMap((version) =>
    ['STATUS', 'GC', 'CHECK'].map((verb) => one(`${verb}`, { ipam: undefined }, { version, verbs: [verb] })),
  ),
  one('STATUS with ipam', hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }), {
    version: '1.1.0',
    verbs: ['STATUS'],
  }),
  one(
    'STATUS with an IPAM plugin that is missing',
    { ipam: { type: 'absent-ipam' } },
    { version: '1.1.0', verbs: ['STATUS'] },
  ),
  one('STATUS without the master', { master: 'absent0' }, { version: '1.1.0', verbs: ['STATUS'] }),
  one('GC with ipam', { 'cni.dev/valid-attachments': [] }, { version: '1.1.0', verbs: ['GC'] }),
  one('VERSION', {}, { verbs: ['VERSION'] }),
  one('an unknown verb', {}, { verbs: ['FOO'] }),
  one('a verb in small letters', {}, { verbs: ['add'] }),
];

const paths: readonly Case[] = [
  one('CNI_PATH empty', {}, { call: { path: [''] } }),
  one('CNI_PATH of missing folders', {}, { call: { path: ['/nowhere', '/tmp'] } }),
  one(
    'CNI_PATH empty in DEL without ipam',
    { ipam: undefined },
    { version: '1.0.0', verbs: ['DEL'], call: { path: [''] } },
  ),
];

const ALL: readonly Case[] = [
  ...spec.map((each) => ({ ...each, dels: 2 })),
  ...documents,
  ...bytes,
  ...names,
  ...netnses,
  ...ipams,
  ...routeCases,
  ...checks,
  ...verbs,
  ...paths,
];

/**
 * These cases for one plugin.
 *
 * @param needsAddresses a link without IPAM plugin is refused: cases that are about something else get one
 */
export const childCases = (plugin: string, { needsAddresses = false } = {}): readonly Case[] =>
  ALL.map((each) => ({ ...each, plugin, conf: ofPlugin(each.conf, plugin, needsAddresses) }));

function ofPlugin(conf: unknown, plugin: string, needsAddresses: boolean): unknown {
  if (typeof conf === 'string') {
    return conf.replaceAll(ANY, plugin);
  }
  if (Buffer.isBuffer(conf)) {
    return Buffer.from(conf.toString('latin1').replaceAll(ANY, plugin), 'latin1');
  }
  const document = conf as Document;
  const type = document['type'] === ANY ? { type: plugin } : {};
  const given = needsAddresses && 'ipam' in document && document['ipam'] === undefined ? { ipam: STATIC } : {};
  return { ...document, ...type, ...given };
}
