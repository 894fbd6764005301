/** Configurations and calls that both plugins get. */
import { VERSIONS } from '../../lab/programs.ts';
import type { Case } from '../../peers/compare.ts';
import { type Document, distinct, making, type Options, show } from '../../peers/making-cases.ts';

const { one, across, raw } = making('host-local', (cniVersion) => ({ cniVersion, name: 'net-a', type: 'macvlan' }));

const conf = (changes: Document, more: Document = {}): Document => ({
  ipam: { type: 'host-local', dataDir: '{store}', ...changes },
  ...more,
});
const FOUR = { subnet: '10.5.0.0/24' };
const SIX = { subnet: 'fd05::/64' };
const BOTH = { ranges: [[FOUR], [SIX]] };
const TWICE = { verbs: ['ADD', 'ADD', 'DEL', 'DEL'] };
const NEWEST = { version: '1.1.0' };

/** What the attachment has may go. */
const FROM_BEFORE = (content: string): Options => ({ files: { 'net-a/10.5.0.9': content }, meanwhile: [] });

const range = (bounds: Document, options: Options = {}): Case =>
  one(`range ${show(bounds)}`, conf({ ranges: [[bounds]] }), options);

export const hostLocalCases = (): readonly Case[] =>
  distinct([
    ...across(['', ...VERSIONS], 'both families', conf(BOTH)),
    ...across(
      VERSIONS,
      'two addresses of a family',
      conf({ ranges: [[FOUR], [{ subnet: '10.6.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] }),
    ),
    ...across(
      ['0.2.0', '0.4.0', '1.1.0'],
      'routes with all attributes',
      conf({
        ...BOTH,
        routes: [
          { dst: '0.0.0.0/0' },
          { dst: '10.9.0.0/16', gw: '10.5.0.9', mtu: 1400, advmss: 1300, priority: 5, table: 100, scope: 253 },
          { dst: 'fd09::/48', gw: 'fd05::9' },
        ],
      }),
    ),
    range({ subnet: '10.5.0.0/30' }, TWICE),
    range({ subnet: 'fd05::/126' }),
    range({ ...FOUR, rangeStart: '10.5.0.10', rangeEnd: '10.5.0.20', gateway: '10.5.0.15' }),
    range({ ...FOUR, rangeStart: '10.5.0.0', rangeEnd: '10.5.0.255' }),
    range({ ...FOUR, rangeStart: '10.5.0.9', rangeEnd: '10.5.0.9' }),
    range({ ...FOUR, rangeStart: '10.5.0.1', rangeEnd: '10.5.0.1' }),
    range({ ...FOUR, rangeStart: '10.5.0.9', rangeEnd: '10.5.0.8' }),
    range({ ...FOUR, rangeStart: '10.6.0.9' }),
    range({ ...FOUR, rangeEnd: 'fd05::9' }),
    range({ ...FOUR, rangeStart: '10.5.0.255' }),
    range({ ...FOUR, gateway: '192.0.2.1' }),
    range({ ...FOUR, gateway: '' }),
    range({ ...FOUR, gateway: 'fd05::1' }),
    range({ ...FOUR, gateway: '10.5.0.01' }),
    range({ ...SIX, rangeStart: 'FD05:0::00ff' }),
    range({ subnet: '10.5.0.7/24' }),
    range({ subnet: '10.5.0.0/33' }),
    range({ subnet: '10.5.0.0' }),
    range({ subnet: '::ffff:10.5.0.0/120' }),
    range({ subnet: 7 }),
    range({}),
    ...['10.5.0.0/31', '10.5.0.0/32', 'fd05::/127', 'fd05::/128'].map((subnet) => range({ subnet })),
    ...[[], [[]], [null], [[null]], null, {}, 'x', [FOUR], [[FOUR, SIX]], [[FOUR, FOUR]], [[FOUR], [SIX], [FOUR]]].map(
      (ranges) => one(`ranges ${show(ranges)}`, conf({ ranges })),
    ),
    one('several ranges of one set', conf({ ranges: [[FOUR, { subnet: '10.6.0.0/24' }]] }), TWICE),
    one(
      'the older form, and ranges after it',
      conf({ ...FOUR, rangeStart: '10.5.0.9', gateway: '10.5.0.8', ranges: [[SIX]] }),
      NEWEST,
    ),
    one('the older form without a subnet', conf({ rangeStart: '10.5.0.9', ranges: [[SIX]] })),
    one('the older form without a subnet, and with a fault', conf({ gateway: 'x', ranges: [[SIX]] })),
    one(
      'ranges of the runtime first',
      conf({ ...FOUR, ranges: [[SIX]] }, { runtimeConfig: { ipRanges: [[{ subnet: '10.7.0.0/24' }]] } }),
      NEWEST,
    ),
    one('ranges of the runtime alone', conf({}, { runtimeConfig: { ipRanges: [[FOUR], [SIX]] } })),
    one('keys in other letters', conf({ RANGES: [[{ SubNet: '10.5.0.0/24', RANGEstart: '10.5.0.77' }]] })),
    one('ADD twice', conf(BOTH), { ...TWICE, ...NEWEST }),
    one('DEL without ADD', conf(BOTH), { verbs: ['DEL', 'DEL'] }),
    one('CHECK without ADD', conf(BOTH), { verbs: ['CHECK'], ...NEWEST }),
    one('no ipam', {}),
    one('ipam null', { ipam: null }),
    raw('no object', '[]'),
    ...[
      'IP=10.5.0.9',
      'IP=10.5.0.9/16',
      'IP=',
      'IP=x',
      'IP=10.5.0.1',
      'IP=10.9.0.1',
      'IP=fd05::9',
      'A=b',
      'IP=10.5.0.9;IP=10.5.0.8',
    ].map((args) => one(`CNI_ARGS ${args}`, conf(BOTH), { call: { args } })),
    one('CNI_ARGS of Kubernetes', conf(BOTH), { call: { args: 'IgnoreUnknown=1;K8S_POD_NAME=p;IP=10.5.0.9' } }),
    ...[['10.5.0.9'], ['10.5.0.9/24', 'fd05::9/64'], ['10.5.0.9', '10.5.0.8'], ['x'], [''], [], null, 'x', [7]].flatMap(
      (ips) => [
        one(`runtimeConfig.ips ${show(ips)}`, conf(BOTH, { runtimeConfig: { ips } })),
        one(`args.cni.ips ${show(ips)}`, conf(BOTH, { args: { cni: { ips } } })),
      ],
    ),
    one(
      'addresses from all three places',
      conf(BOTH, { args: { cni: { ips: ['fd05::9'] } }, runtimeConfig: { ips: ['10.5.0.9'] } }),
      { call: { args: 'IP=10.5.0.9' } },
    ),
    one('args null', conf(BOTH, { args: null, runtimeConfig: null })),
    one('the address of another', conf(BOTH, { runtimeConfig: { ips: ['10.5.0.9'] } }), {
      files: { 'net-a/10.5.0.9': 'other\r\nnet1' },
      verbs: ['ADD', 'DEL'],
    }),
    one('an address from before, of the ID alone', conf(BOTH), FROM_BEFORE('c1')),
    one('an address from before, of another interface', conf(BOTH), FROM_BEFORE('c1\r\nnet2')),
    one('an address from before, with blanks around', conf(BOTH), FROM_BEFORE(' c1\r\nnet1\n')),
    one('a later set of which the attachment has an address', conf({ ranges: [[SIX], [FOUR]] }), {
      ...FROM_BEFORE('c1\r\nnet1'),
      verbs: ['ADD'],
    }),
    one('a full range', conf({ ranges: [[{ ...FOUR, rangeEnd: '10.5.0.3' }]] }), {
      files: { 'net-a/10.5.0.2': 'a\r\nb', 'net-a/10.5.0.3': 'c\r\nd' },
    }),
    one('resolvConf', conf({ ...BOTH, resolvConf: '{store}/resolv.conf' }), {
      files: {
        'resolv.conf': '# x\nnameserver 10.0.0.53\nnameserver\nsearch a b\nsearch c\ndomain d\noptions ndots:2\n',
      },
    }),
    one('resolvConf that is empty', conf({ ...BOTH, resolvConf: '{store}/resolv.conf' }), {
      files: { 'resolv.conf': '' },
    }),
    one('resolvConf that is missing', conf({ ...BOTH, resolvConf: '{store}/none' })),
    one('dataDir that is no folder', conf({ ...BOTH, dataDir: '/dev/null' })),
    one('dataDir 7', conf({ ...BOTH, dataDir: 7 })),
    one('a fault by the time of DEL', conf({ ranges: [[{ subnet: 'x' }]] }), { verbs: ['DEL'] }),
  ]);
