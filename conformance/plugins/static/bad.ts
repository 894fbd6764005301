/** What static refuses. */
import type { Row } from '../../lab/refuse.ts';

const conf = (ipam: unknown, more: object = {}) => ({
  cniVersion: '1.0.0',
  name: 'net-a',
  type: 'macvlan',
  ipam,
  ...more,
});
const given = (more: object) => conf({ type: 'static', addresses: [{ address: '10.1.2.3/24' }], ...more });

const WRONG_TYPES: readonly Row[] = [
  ...['x', 7, {}, true].map((value) => ['addresses', value] as const),
  ...['x', 7, {}, [7]].map((value) => ['routes', value] as const),
  ...['x', 7, []].map((value) => ['dns', value] as const),
].map(
  ([key, value]): Row => ({
    title: `"${key}" ${JSON.stringify(value)}`,
    conf: given({ [key]: value }),
    code: 7,
    says: [key, JSON.stringify(Array.isArray(value) && value.length > 0 ? value[0] : value)],
  }),
);

const address = (value: unknown, more: object = {}): object =>
  given({ addresses: [{ address: '10.1.2.3/24' }, { address: value, ...more }] });

export const BAD: readonly Row[] = [
  ...WRONG_TYPES,
  { title: 'no ipam', conf: conf(undefined), code: 7, says: ["'ipam'"] },
  { title: 'an ipam that is a word', conf: conf('static'), code: 7, says: ['"ipam"', '"static"'] },
  ...['', 'x', '10.1.2.4', '10.1.2.4/33', 'fd00::4/129', '10.1.2.4/24 ', '010.1.2.4/24'].map(
    (value): Row => ({
      title: `the address "${value}"`,
      conf: address(value),
      code: 7,
      says: ['"ipam.addresses.1.address"', `"${value}"`],
    }),
  ),
  { title: 'an address that is a number', conf: address(7), code: 7, says: ['"ipam.addresses.1.address"', '7'] },
  {
    title: 'a gateway that is none',
    conf: address('10.1.2.4/24', { gateway: '10.1.2.0/24' }),
    code: 7,
    says: ['"ipam.addresses.1.gateway"', '"10.1.2.0/24"'],
  },
  {
    title: 'an address of args.cni without its prefix length',
    conf: conf({ type: 'static' }, { args: { cni: { ips: ['10.1.2.3'] } } }),
    code: 7,
    says: ['"args.cni.ips.0"', '"10.1.2.3"'],
  },
  {
    title: 'an address of the runtime without its prefix length',
    conf: conf({ type: 'static' }, { runtimeConfig: { ips: ['10.1.2.3/24', 'fd00::3'] } }),
    code: 7,
    says: ['"runtimeConfig.ips.1"', '"fd00::3"'],
  },
  ...[
    ['IP=10.1.2.3', 'IP of CNI_ARGS: "10.1.2.3"'],
    ['IP=10.1.2.3/24,', 'IP of CNI_ARGS: ""'],
    ['GATEWAY=10.1.2', 'GATEWAY of CNI_ARGS: "10.1.2"'],
    ['K8S_POD_NAME=p', 'K8S_POD_NAME=p'],
    ['IP', '"IP"'],
  ].map(
    ([args = '', says = '']): Row => ({
      title: `CNI_ARGS "${args}"`,
      conf: given({}),
      call: { args },
      code: 4,
      says: [says],
    }),
  ),
  ...['0.1.0', '0.2.0'].map(
    (cniVersion): Row => ({
      title: `two addresses of a family in version ${cniVersion}`,
      conf: { ...given({ addresses: [{ address: '10.1.2.3/24' }, { address: '10.1.2.4/24' }] }), cniVersion },
      code: 7,
      says: ['10.1.2.3/24, 10.1.2.4/24', cniVersion],
    }),
  ),
  {
    title: 'a route without destination',
    conf: given({ routes: [{ gw: '10.1.2.1' }] }),
    code: 7,
    says: ['routes[0].dst'],
  },
  {
    title: 'a negative metric',
    conf: given({ routes: [{ dst: '10.8.0.0/16', priority: -1 }] }),
    code: 7,
    says: ['-1'],
  },
  { title: 'broken JSON', conf: '{"name": "a",', code: 6 },
  { title: 'a version that nobody knows', conf: { ...given({}), cniVersion: '9.9.9' }, code: 1 },
];
