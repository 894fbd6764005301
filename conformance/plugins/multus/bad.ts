/** What multus refuses. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, PARENT, type Pod } from '../../lab/lab.ts';
import { OURS } from '../../lab/programs.ts';
import { fullDisk, type Row } from '../../lab/refuse.ts';

const ip = (text: string) => (lab: Lab, pod: Pod) => lab.ip(pod.name, text).then(() => undefined);

const multus = (delegates: unknown, more: object = {}) => ({
  cniVersion: '1.0.0',
  name: 'node',
  type: 'multus',
  cniDir: '{dir}/cni',
  binDir: OURS.bin,
  delegates,
  ...more,
});
const delegate = { cniVersion: '1.0.0', name: 'pods', type: 'macvlan', master: PARENT };

const ROWS: readonly Row[] = [
  { title: 'no delegates', conf: multus(undefined), code: 7, says: ['delegates'] },
  { title: 'delegates null', conf: multus(null), code: 7, says: ['delegates'] },
  { title: 'an empty list of delegates', conf: multus([]), code: 7, says: ['"delegates"', '[]'] },
  ...['x', 7, {}, true].map(
    (delegates): Row => ({
      title: `delegates ${JSON.stringify(delegates)}`,
      conf: multus(delegates),
      code: 7,
      says: ['"delegates"', JSON.stringify(delegates)],
    }),
  ),
  ...[null, 'x', 7, []].map(
    (item): Row => ({
      title: `a delegate ${JSON.stringify(item)}`,
      conf: multus([delegate, item]),
      code: 7,
      says: ['delegates.1', JSON.stringify(item)],
    }),
  ),
  {
    title: 'a delegate without a type',
    conf: multus([delegate, { name: 'x' }]),
    code: 7,
    says: ['delegates.1', 'type'],
  },
  { title: 'an empty delegate', conf: multus([{}]), code: 7, says: ['delegates.0'] },
  ...[null, '', 7, {}].map(
    (type): Row => ({
      title: `a delegate of type ${JSON.stringify(type)}`,
      conf: multus([{ name: 'x', type }]),
      code: 7,
      says: ['delegates.0', 'type'],
    }),
  ),
  ...[null, '', 7, 'a/b', '../x', '-a'].map(
    (name): Row => ({
      title: `a delegate of name ${JSON.stringify(name)}`,
      shows: 'multus/name-first',
      conf: multus([{ ...delegate, name }]),
      code: 7,
      says: ['delegates.0.name'],
    }),
  ),
  ...[[], null, 'x', {}, [null], [7], [{}], [{ type: null }], [{ type: '' }], [delegate, null]].map(
    (plugins): Row => ({
      title: `a delegate with plugins ${JSON.stringify(plugins).slice(0, 60)}`,
      shows: 'multus/no-plugins',
      conf: multus([{ cniVersion: '1.0.0', name: 'x', plugins }]),
      code: 7,
      says: ['delegates.0'],
    }),
  ),
  ...['ipam', 'dns', 'capabilities', 'prevResult'].map(
    (key): Row => ({
      title: `a delegate whose ${key} is a text`,
      conf: multus([{ ...delegate, [key]: 'x' }]),
      code: 7,
      says: [`delegates.0.${key}`, '"x"'],
    }),
  ),
  {
    title: 'a delegate that is multus',
    shows: 'multus/self',
    conf: multus([{ ...delegate, type: 'multus' }]),
    code: 7,
    says: ['delegates.0.type', '"multus"'],
  },
  {
    title: 'a plugin of a delegate that is multus',
    conf: multus([{ name: 'x', plugins: [delegate, { type: 'multus' }] }]),
    code: 7,
    says: ['multus'],
  },
  ...[
    ['cniDir', 7],
    ['binDir', 7],
    ['kubeconfig', 7],
    ['logFile', 7],
    ['logToStderr', 'x'],
    ['logOptions', 'x'],
    ['namespaceIsolation', 'false'],
    ['clusterNetwork', 7],
    ['defaultNetworks', 'x'],
    ['readinessindicatorfile', 7],
    ['retryDeleteOnError', 'x'],
    ['runtimeConfig', 'x'],
    ['prevResult', 'x'],
    ['dns', 'x'],
    ['ipam', 'x'],
    ['capabilities', 'x'],
  ].map(
    ([key, value]): Row => ({
      title: `"${key}" ${JSON.stringify(value)}`,
      conf: multus([delegate], { [String(key)]: value }),
      code: 7,
      says: [String(key), JSON.stringify(value)],
    }),
  ),
  ...[
    { mac: 7 },
    { ips: 'x' },
    { ips: [7] },
    { portMappings: {} },
    { portMappings: [{ hostPort: 'x' }] },
    { bandwidth: [] },
  ].map(
    (value): Row => ({
      title: `runtimeConfig ${JSON.stringify(value)}`,
      conf: multus([delegate], { runtimeConfig: value }),
      code: 7,
      says: ['runtimeConfig'],
    }),
  ),
  {
    title: 'a name that no configuration has',
    conf: multus([delegate], { clusterNetwork: 'pods', confDir: '{dir}/store' }),
    code: 7,
    says: ['clusterNetwork', '"pods"', '/store'],
  },
  {
    title: 'a cluster network that is missing',
    conf: multus([], { clusterNetwork: '/absent/10-x.conflist' }),
    code: 5,
    says: ['/absent/10-x.conflist'],
  },
  {
    title: 'a cluster network that is not JSON',
    conf: multus([], { clusterNetwork: '{dir}/x.conf' }),
    prepare: (lab) => writeFileSync(join(lab.dir, 'x.conf'), '{'),
    code: 6,
    says: ['/x.conf'],
  },
  {
    title: 'a cluster network of the wrong kind',
    conf: multus([], { clusterNetwork: '{dir}/x.conf' }),
    prepare: (lab) => writeFileSync(join(lab.dir, 'x.conf'), '[]'),
    code: 6,
    says: ['/x.conf'],
  },
  {
    title: 'an empty folder for a cluster network',
    conf: multus([], { clusterNetwork: '{dir}/store' }),
    code: 7,
    says: ['/store'],
  },
  {
    title: 'CNI_ARGS that are malformed',
    conf: multus([delegate]),
    call: { args: 'A=b=c' },
    code: 4,
    says: ['CNI_ARGS'],
  },
  {
    title: 'a namespace that is missing',
    conf: multus([delegate]),
    call: { netns: '/run/netns/absent-of-braid' },
    code: 999,
    says: ['/run/netns/absent-of-braid'],
  },
  {
    title: 'a namespace that is a file',
    conf: multus([delegate]),
    call: { netns: '/etc/hostname' },
    code: 8,
    says: ['/etc/hostname'],
  },
  {
    title: "the plugin's own namespace",
    conf: multus([delegate]),
    call: { netns: '/proc/self/ns/net' },
    code: 8,
    says: ['/proc/self/ns/net'],
  },
  {
    title: 'a delegate that is not found',
    conf: multus([delegate, { ...delegate, name: 'x', type: 'absent-plugin' }]),
    code: 999,
    says: ['"absent-plugin"', 'network "x"'],
  },
  {
    title: 'a delegate of a version that nobody knows',
    conf: multus([delegate, { ...delegate, name: 'x', cniVersion: '9.9.9' }]),
    code: 1,
    says: ['network "x"'],
  },
  {
    title: 'a delegate with a wrong configuration',
    conf: multus([delegate, { ...delegate, name: 'x', mtu: 9000 }]),
    code: 7,
    says: ['network "x"', '"mtu"', '9000'],
  },
  {
    title: 'a name that is taken',
    conf: multus([delegate]),
    prepare: ip('link add eth0 type bridge'),
    code: 999,
    says: ['"eth0"'],
  },
  {
    title: 'a name of a second network that is taken',
    conf: multus([delegate, { ...delegate, name: 'x' }]),
    prepare: ip('link add net1 type bridge'),
    code: 999,
    says: ['"net1"', 'network "x"'],
  },
  {
    title: 'two networks of one interface',
    conf: multus([delegate, { ...delegate }]),
    call: { ifName: 'net1' },
    code: 999,
    says: ['"net1"'],
  },
  {
    title: 'a scratch folder that is read-only',
    conf: multus([delegate]),
    prepare: (lab) => lab.makeReadOnly(join(lab.dir, 'cni')),
    code: 5,
    says: ['/cni', 'EROFS'],
  },
  {
    title: 'a scratch folder that is a file',
    conf: multus([delegate], { cniDir: '{dir}/file' }),
    prepare: (lab) => writeFileSync(join(lab.dir, 'file'), ''),
    code: 5,
    says: ['/file'],
  },
  {
    title: 'a result cache that is a file',
    conf: multus([delegate]),
    prepare: (lab) => writeFileSync(join(lab.dir, 'cni/results'), ''),
    code: 5,
    says: ['/results'],
  },
  {
    title: 'a scratch folder on a disk that is full',
    conf: multus([delegate], { cniDir: '{dir}/disk/cni' }),
    prepare: (lab) => fullDisk(lab, 'cni/results/'),
    code: 5,
    says: ['/disk/cni', 'ENOSPC'],
  },
];

export const BAD: readonly Row[] = ROWS.map((row) => ({ ...row, call: { ifName: 'eth0', ...row.call } }));
