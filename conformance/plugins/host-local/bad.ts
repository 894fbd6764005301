/** What host-local refuses. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fullDisk, type Row } from '../../lab/refuse.ts';

const hostLocal = (ipam: object, more: object = {}) => ({
  cniVersion: '1.0.0',
  name: 'net-a',
  ipam: { type: 'host-local', dataDir: '{dir}/store', ...ipam },
  ...more,
});
const FOUR = { subnet: '10.5.0.0/24' };
const range = (bounds: object) => hostLocal({ ranges: [[bounds]] });

export const BAD: readonly Row[] = [
  { title: 'no ipam', conf: { cniVersion: '1.0.0', name: 'net-a' }, code: 7, says: ["'ipam'"] },
  { title: 'no ranges', conf: hostLocal({ rangeStart: '10.5.0.9' }), code: 7, says: ['no IP ranges', '"ipam.subnet"'] },
  ...['10.5.0.0', '10.5.0.0/33', '10.5.0/24', 'x', '/24', ' 10.5.0.0/24', '::ffff:10.5.0.0/120'].map(
    (subnet): Row => ({
      title: `subnet "${subnet}"`,
      conf: range({ subnet }),
      code: 7,
      says: [`ipam.ranges[0][0].subnet": "${subnet}"`],
    }),
  ),
  {
    title: 'a subnet with host bits',
    conf: range({ subnet: '10.5.0.9/24' }),
    code: 7,
    says: ['10.5.0.9/24', '10.5.0.0'],
  },
  ...(['rangeStart', 'rangeEnd', 'gateway'] as const).flatMap((key): readonly Row[] => [
    { title: `${key} "x"`, conf: range({ ...FOUR, [key]: 'x' }), code: 7, says: [`ipam.ranges[0][0].${key}": "x"`] },
    {
      title: `${key} "x" in the older form`,
      conf: hostLocal({ ...FOUR, [key]: 'x' }),
      code: 7,
      says: [`ipam.${key}": "x"`],
    },
  ]),
  ...(['rangeStart', 'rangeEnd'] as const).map(
    (key): Row => ({
      title: `${key} of another network`,
      conf: range({ ...FOUR, [key]: '10.6.0.9' }),
      code: 7,
      says: [key, '10.6.0.9', 'not in network 10.5.0.0/24'],
    }),
  ),
  {
    title: 'bounds that are reversed',
    conf: range({ ...FOUR, rangeStart: '10.5.0.9', rangeEnd: '10.5.0.8' }),
    code: 7,
    says: ['rangeEnd', '10.5.0.9 to 10.5.0.8'],
  },
  { title: 'an empty set', conf: hostLocal({ ranges: [[FOUR], []] }), code: 7, says: ['ipam.ranges[1]', 'empty'] },
  { title: 'ranges that are no sets', conf: hostLocal({ ranges: [FOUR] }), code: 7, says: ['ipam.ranges.0', 'a list'] },
  {
    title: 'a set of both families',
    conf: hostLocal({ ranges: [[FOUR, { subnet: 'fd05::/64' }]] }),
    code: 7,
    says: ['mixed'],
  },
  {
    title: 'ranges that overlap',
    conf: hostLocal({ ranges: [[FOUR, { subnet: '10.5.0.0/16' }]] }),
    code: 7,
    says: ['overlap'],
  },
  {
    title: 'sets that overlap',
    conf: hostLocal({ ...FOUR, ranges: [[{ subnet: '10.5.0.0/16' }]] }),
    code: 7,
    says: ['range set 0 overlaps with 1', '"ipam.ranges[0]"', '"ipam"'],
  },
  {
    title: 'two addresses of a family in an old version',
    conf: { ...hostLocal({ ranges: [[FOUR], [{ subnet: '10.6.0.0/24' }]] }), cniVersion: '0.2.0' },
    code: 7,
    says: ['0.2.0', 'more than 1 address'],
  },
  ...['x', '10.5.0.300', '10.5.0.9/99', '10.5.0.9,10.5.0.8'].map(
    (ip): Row => ({ title: `IP=${ip}`, conf: range(FOUR), call: { args: `IP=${ip}` }, code: 4, says: ['IP', ip] }),
  ),
  {
    title: 'an address that no range has',
    shows: 'host-local/foreseen',
    conf: hostLocal({ ranges: [[FOUR]] }, { runtimeConfig: { ips: ['10.9.0.1'] } }),
    code: 7,
    says: ['10.9.0.1', '"runtimeConfig.ips"', '10.5.0.1-10.5.0.254'],
  },
  {
    title: 'two addresses of one set',
    conf: hostLocal({ ranges: [[FOUR]] }, { args: { cni: { ips: ['10.5.0.9', '10.5.0.8'] } } }),
    code: 7,
    says: ['10.5.0.9', '10.5.0.8', 'range set 0'],
  },
  { title: 'the gateway', conf: range(FOUR), call: { args: 'IP=10.5.0.1' }, code: 4, says: ["subnet's gateway"] },
  { title: 'unknown CNI_ARGS', conf: range(FOUR), call: { args: 'A=b' }, code: 4, says: ['A=b'] },
  {
    title: 'a resolvConf that is missing',
    conf: hostLocal({ ...FOUR, resolvConf: '{dir}/none' }),
    code: 5,
    says: ['resolvConf', 'none'],
  },
  {
    title: 'a dataDir that is a file',
    conf: hostLocal({ ...FOUR, dataDir: '/dev/null' }),
    code: 5,
    says: ['/dev/null'],
  },
  {
    title: 'a lock that is a folder',
    conf: range(FOUR),
    prepare: (lab) => void mkdirSync(join(lab.dir, 'store/net-a/lock'), { recursive: true }),
    code: 5,
    says: ['store/net-a/lock', 'EISDIR'],
  },
  {
    title: 'a disk that is full',
    conf: hostLocal({ ...FOUR, dataDir: '{dir}/disk/store' }),
    prepare: async (lab) => void (await fullDisk(lab, 'store/net-a/')),
    code: 5,
    says: ['store/net-a', 'ENOSPC'],
  },
];
