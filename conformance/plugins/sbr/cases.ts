/** Configurations of sbr that our plugin and Go's are compared with. */
import { VERSIONS } from '../../lab/programs.ts';
import type { Case } from '../../peers/compare.ts';
import { type Document, distinct, making, type Options } from '../../peers/making-cases.ts';
import { type Given, interfaceOf, resultOf } from './lab.ts';

const base = (version: string): Document => ({ cniVersion: version, name: 'net-a', type: 'sbr' });
const { one, raw } = making('sbr', base);

interface Pod extends Omit<Options, 'version'> {
  readonly version?: string;
  readonly routes?: readonly string[];
  /** of the configuration */
  readonly more?: Document;
}

/** A pod whose interface net1 has these addresses and routes. */
function pod(
  title: string,
  addresses: readonly Given[],
  { version = '1.0.0', routes = [], more, ...options }: Pod = {},
): Case {
  const commands = [...interfaceOf('net1', addresses), ...routes.map((route) => `route add ${route}`)];
  const prevResult = resultOf(version, 'net1', addresses);
  return one(
    title,
    { prevResult, ...more },
    {
      version,
      rules: true,
      goesWithLink: true,
      prepare: commands.map((command) => `pod: ${command}`),
      ...options,
    },
  );
}

const FOUR: readonly Given[] = [['10.1.2.3/24', '10.1.2.1']];
const SIX: readonly Given[] = [['fd00:1::3/64', 'fd00:1::1']];
const DEFAULT = 'default via 10.1.2.1 dev net1';
const SPECIFIC = [
  '10.8.0.0/16 via 10.1.2.9 dev net1',
  '10.9.0.0/16 dev net1 metric 50',
  '10.10.0.0/16 dev net1 table 300',
];

const spec: readonly Case[] = [
  ...VERSIONS.map((version) => pod('one address', FOUR, { version, routes: [DEFAULT, ...SPECIFIC] })),
  ...['0.2.0', '0.4.0', '1.1.0'].map((version) =>
    pod('IPv6 alone', SIX, { version, routes: ['default via fd00:1::1 dev net1'] }),
  ),
  pod('no gateway', [['10.1.2.3/24']], { routes: [DEFAULT] }),
  pod('no gateway and no route', [['10.1.2.3/24']]),
  pod('both families', [...FOUR, ...SIX], { version: '0.2.0', routes: [DEFAULT] }),
  pod('both families', [...FOUR, ...SIX], { routes: [DEFAULT, 'fd08::/48 via fd00:1::9 dev net1'] }),
  pod('several subnets', [...FOUR, ['10.1.3.3/25', '10.1.3.1'], ['10.1.4.3/24']], {
    routes: [DEFAULT, '10.8.0.0/16 via 10.1.3.9 dev net1', '10.9.0.0/16 dev net1'],
  }),
  pod('several addresses of a subnet', [...FOUR, ['10.1.2.4/24', '10.1.2.1']], { routes: [DEFAULT] }),
  pod('a route to a host', FOUR, { routes: ['192.0.2.7/32 dev net1', '192.0.2.8/32 via 10.1.2.9 dev net1 mtu 1300'] }),
  pod('STATUS and GC', FOUR, { version: '1.1.0', verbs: ['STATUS', 'GC', 'ADD', 'GC', 'DEL', 'DEL'] }),
  pod('two DELs', FOUR, { dels: 2 }),
  pod('CNI_ARGS', FOUR, { call: { args: 'A=b;IgnoreUnknown=x' } }),
];

const tables: readonly Case[] = [
  pod('a table of the configuration', FOUR, {
    more: { table: 200 },
    routes: ['10.8.0.0/16 dev net1 table 200', '10.9.0.0/16 dev net1'],
  }),
  pod('a table of the configuration for both', [...FOUR, ...SIX], { more: { table: 70000 } }),
  pod('table null', FOUR, { more: { table: null } }),
  ...[0, -1, '200', 1.5, 2 ** 32].map((table) => pod(`table ${JSON.stringify(table)}`, FOUR, { more: { table } })),
  pod('a table in use by a rule', FOUR, {
    routes: [DEFAULT],
    more: {},
    prepare: prepared(FOUR, 'rule add from 10.7.0.1 table 100'),
  }),
  pod('a table in use by an IPv6 rule', FOUR, { prepare: prepared(FOUR, '-6 rule add from fd07::1 table 100') }),
  pod('a table in use by a route alone', FOUR, { prepare: prepared(FOUR, 'route add 10.7.0.0/16 dev net1 table 100') }),
  pod('a rule of the address, to another table', FOUR, { prepare: prepared(FOUR, 'rule add from 10.1.2.3 table 77') }),
  pod('rules that look like ours', FOUR, {
    prepare: prepared(FOUR, 'rule add from 10.1.2.0/24 table 300', 'rule add from 10.1.2.9 table 300'),
  }),
];

function prepared(addresses: readonly Given[], ...more: readonly string[]): readonly string[] {
  return [...interfaceOf('net1', addresses), ...more].map((command) => `pod: ${command}`);
}

const routes: readonly Case[] = [
  pod('a route that belongs to none', [['10.1.2.3/32']], { routes: ['10.1.2.1 dev net1', DEFAULT] }),
  pod('a /32 with a gateway', [['10.1.2.3/32', '10.1.2.1']], { routes: ['10.1.2.1 dev net1', DEFAULT] }),
  pod('an IPv6 route with a preference', SIX, {
    routes: ['fd08::/48 dev net1 pref high', 'fd09::/48 dev net1 metric 50 expires 600'],
  }),
  pod('IPv6 routes of an interface with an IPv4 address', FOUR, { routes: ['fd08::/48 dev net1'] }),
  pod('a default route twice', [['10.1.2.3/24']], {
    prepare: prepared([['10.1.2.3/24']], DEFAULT, 'default via 10.1.2.2 dev net1').map((text) =>
      text.replace('pod: default', 'pod: route append default'),
    ),
  }),
  pod('routes of another interface', FOUR, {
    prepare: [
      ...prepared(FOUR),
      ...interfaceOf('net2', [['10.5.0.2/24']]).map((command) => `pod: ${command}`),
      'pod: route add default via 10.5.0.1 dev net2',
    ],
  }),
  pod('a gateway that cannot be reached', [['10.1.2.3/24', '10.99.0.1']]),
];

const results: readonly Case[] = [
  one('no previous result', {}, { version: '1.0.0' }),
  ...[null, {}, 'x', [], { ips: 'x' }, { cniVersion: '0.2.0', ip4: { ip: '10.1.2.3/24' } }].map((prevResult) =>
    one(`prevResult ${JSON.stringify(prevResult)}`, { prevResult }, { version: '1.0.0' }),
  ),
  pod('an interface that is not there', FOUR, { prepare: ['pod: link add other type bridge'] }),
  pod('addresses of another interface', FOUR, {
    more: { prevResult: { ...resultOf('1.0.0', 'veth7', FOUR) } },
  }),
  pod('addresses without interface', FOUR, {
    more: { prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }] } },
  }),
  pod('unknown keys', FOUR, { more: { unknown: 7 } }),
  raw('broken JSON', '{"name": "a",'),
];

const gone: readonly Case[] = [
  pod('an address that the pod has taken away', FOUR, { meanwhile: ['pod: addr flush dev net1'] }),
  pod('an interface that has gone', FOUR, { meanwhile: ['pod: link del net1'] }),
  pod('a rule that the pod has taken away', FOUR, { meanwhile: ['pod: rule del from 10.1.2.3'] }),
  pod('a namespace that is a file', FOUR, { netns: '/etc/hostname', verbs: ['ADD'] }),
];

export const sbrCases = (): readonly Case[] => distinct([...spec, ...tables, ...routes, ...results, ...gone]);
