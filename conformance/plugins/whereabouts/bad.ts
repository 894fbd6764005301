/** What whereabouts refuses. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Lab } from '../../lab/lab.ts';
import { fullDisk, placed, type Row } from '../../lab/refuse.ts';
import { databaseIn } from '../../lab/store.ts';

export const whereabouts = (ipam: object) => ({
  cniVersion: '1.0.0',
  name: 'net-a',
  ipam: { type: 'whereabouts', datastore: 'file', data_dir: '{dir}/store', range: '10.5.0.0/24', ...ipam },
});
export const range = (text: string) => whereabouts({ range: text });

export const BAD: readonly Row[] = [
  { title: 'no ipam', conf: { cniVersion: '1.0.0', name: 'net-a' }, code: 7, says: ['ipam'] },
  { title: 'another type', conf: whereabouts({ type: 'host-local' }), code: 7, says: ['"ipam.type"', '"host-local"'] },
  ...[
    '10.5.0.0',
    '10.5.0.0/33',
    '10.5.0/24',
    'x',
    '10.5.0.0/',
    '/24',
    '10.5.0.9-10.5.0.20',
    '10.5.0.9 - 10.5.0.20/24',
    '10.6.0.1-10.5.0.9/24',
    '-10.5.0.9/24',
    'fd00::/129',
    '10.5.0.256/24',
    ' 10.5.0.0/24',
  ].map((text): Row => ({ title: `a range "${text}"`, conf: range(text), code: 7, says: ['ipam.range', `"${text}"`] })),
  ...['10.5.0.0/31', '10.5.0.1/32', 'fd00::/127', 'fd00::1/128'].map(
    (text): Row => ({
      title: `a range too small: ${text}`,
      shows: 'whereabouts/small',
      conf: range(text),
      code: 7,
      says: ['ipam.range', text, 'net mask is too short'],
    }),
  ),
  ...['10.5.0.90-10.5.0.20/24', 'fd00::9-fd00::1/64'].map(
    (text): Row => ({
      title: `a window that is reversed: ${text}`,
      shows: 'whereabouts/reversed',
      conf: range(text),
      code: 7,
      says: ['ipam.range', text, 'after the end'],
    }),
  ),
  {
    title: 'bounds that are reversed',
    conf: whereabouts({ range_start: '10.5.0.90', range_end: '10.5.0.20' }),
    code: 7,
    says: ['ipam.range_start', '10.5.0.90', '10.5.0.20'],
  },
  ...[
    { range: '' },
    { range: null, addresses: [], ipRanges: [] },
    { range: undefined, subnet: '10.5.0.0/24' },
    { range: undefined, ranges: [[{ subnet: '10.5.0.0/24' }]], rangeStart: '10.5.0.9' },
  ].map(
    (keys): Row => ({
      title: `nothing to give: ${JSON.stringify(keys)}`,
      shows: 'whereabouts/nothing',
      conf: whereabouts(keys),
      code: 7,
      says: [
        'ipam.range',
        ...Object.keys(keys).flatMap((key) =>
          /^(subnet|ranges|rangeStart)$/.test(key) ? [`"${key}" is a key of host-local`] : [],
        ),
      ],
    }),
  ),
  {
    title: 'a flat file that is missing',
    conf: whereabouts({ configuration_path: '{dir}/missing.conf' }),
    code: 7,
    says: ['ipam.configuration_path', '/missing.conf'],
  },
  ...['x', '10.5.0.300', '10.5.0.0/33', ''].map(
    (text): Row => ({
      title: `an exclude "${text}"`,
      shows: 'whereabouts/exclude',
      conf: whereabouts({ exclude: ['10.5.0.8/30', text] }),
      code: 7,
      says: ['exclude[1]', `"${text}"`],
    }),
  ),
  {
    title: 'an exclude of a second range',
    conf: whereabouts({ ipRanges: [{ range: '10.6.0.0/24', exclude: ['y'] }] }),
    code: 7,
    says: ['ipRanges[0].exclude[0]', '"y"'],
  },
  {
    title: 'a range_start that is no address',
    shows: 'whereabouts/bounds',
    conf: whereabouts({ range_start: 'x' }),
    code: 7,
    says: ['range_start', '"x"'],
  },
  {
    title: 'a range_end that is no address',
    conf: whereabouts({ ipRanges: [{ range: '10.6.0.0/24', range_end: '10.6.0.01' }] }),
    code: 7,
    says: ['range_end', '"10.6.0.01"'],
  },
  {
    title: 'a gateway that is no address',
    conf: whereabouts({ gateway: 'x' }),
    code: 7,
    says: ['ipam.gateway', '"x"'],
  },
  {
    title: 'a static address without prefix',
    conf: whereabouts({ addresses: [{ address: '10.9.9.9' }] }),
    code: 7,
    says: ['addresses[0].address', '"10.9.9.9"'],
  },
  {
    title: 'a route that is malformed',
    conf: whereabouts({ routes: [{ dst: 'x' }] }),
    code: 7,
    says: ['routes[0].dst', '"x"'],
  },
  ...[
    ['range', 7],
    ['range', []],
    ['exclude', 'x'],
    ['exclude', [7]],
    ['ipRanges', {}],
    ['ipRanges', ['x']],
    ['ipRanges', [{ range: 7 }]],
    ['gateway', 7],
    ['addresses', 'x'],
    ['addresses', [7]],
    ['routes', 'x'],
    ['dns', 'x'],
    ['network_name', 7],
    ['enable_overlapping_ranges', 'false'],
    ['data_dir', 7],
    ['datastore', 7],
    ['leader_lease_duration', '1500'],
    ['kubernetes', 'x'],
    ['log_level', 7],
  ].map(
    ([key, value]): Row => ({
      title: `"${key}" ${JSON.stringify(value)}`,
      conf: whereabouts({ [String(key)]: value }),
      code: 7,
      says: [String(key)],
    }),
  ),
  ...['Ab', 'a/b', '../x', '.', '..', 'a b', '-a', 'a_b', 'a'.repeat(254)].map(
    (name): Row => ({
      title: `a network_name ${JSON.stringify(name).slice(0, 20)}`,
      shows: 'whereabouts/names',
      conf: whereabouts({ network_name: name }),
      code: 7,
      says: ['network_name', `"${name}"`],
    }),
  ),
  {
    title: 'a data_dir that is relative',
    conf: whereabouts({ data_dir: 'store' }),
    code: 7,
    says: ['data_dir', '"store"'],
  },
  {
    title: 'a datastore that is unknown',
    shows: 'whereabouts/datastore-words',
    conf: whereabouts({ datastore: 'sqlite' }),
    code: 7,
    says: ['datastore', '"sqlite"'],
  },
  {
    title: 'the Kubernetes datastore without a pod',
    conf: whereabouts({ datastore: 'kubernetes', kubernetes: { kubeconfig: '/x' } }),
    code: 4,
    says: ['the cluster', 'K8S_POD_NAME'],
  },
  {
    title: 'no datastore at all',
    conf: whereabouts({ datastore: '', kubernetes: {} }),
    code: 7,
    says: ['set "datastore": "file"'],
  },
  {
    title: 'both datastores',
    conf: whereabouts({ kubernetes: { kubeconfig: '/etc/kube' } }),
    code: 7,
    says: ['kubeconfig', '/etc/kube'],
  },
  {
    title: 'slices',
    shows: 'whereabouts/slices',
    conf: whereabouts({ node_slice_size: '/26' }),
    code: 7,
    says: ['node_slice_size', '/26'],
  },
  ...[
    [{ node_slice_size: 'x' }, 'node_slice_size', '"x"'],
    [{ concurrency: 'lease', leader_lease_duration: 999 }, 'leader_lease_duration', '"999"'],
    [{ concurrency: 'lease', leader_renew_deadline: 2000 }, 'leader_renew_deadline', '"2000"'],
    [{ concurrency: 'lease', leader_retry_period: 1000 }, 'leader_renew_deadline', '"leader_retry_period"'],
  ].map(
    ([keys, ...says]): Row => ({
      title: `in a cluster: ${JSON.stringify(keys)}`,
      conf: whereabouts({ datastore: 'kubernetes', kubernetes: { kubeconfig: '/x' }, ...(keys as object) }),
      code: 7,
      says: says.map(String),
    }),
  ),
  {
    title: 'CNI_ARGS that are malformed',
    conf: whereabouts({}),
    call: { args: 'K8S_POD_NAME' },
    code: 4,
    says: ['CNI_ARGS', 'K8S_POD_NAME'],
  },
  {
    title: 'unknown CNI_ARGS',
    conf: whereabouts({}),
    call: { args: 'K8S_POD_UID=1' },
    code: 4,
    says: ['K8S_POD_UID=1'],
  },
  {
    title: 'a name of a pod in CNI_ARGS that is none',
    shows: 'whereabouts/pod-name',
    conf: whereabouts({}),
    call: { args: 'K8S_POD_NAMESPACE=a;K8S_POD_NAME=b/c' },
    code: 4,
    says: ['K8S_POD_NAME of CNI_ARGS', 'b/c'],
  },
  {
    title: 'an address in CNI_ARGS without prefix',
    conf: whereabouts({}),
    call: { args: 'IP=10.9.9.9' },
    code: 4,
    says: ['IP', '10.9.9.9'],
  },
  {
    title: 'a range that is full',
    conf: range('10.5.0.0/30'),
    prepare: async (lab) => {
      for (const containerId of ['a', 'b']) {
        await mustAdd(lab, '10.5.0.0/30', containerId);
      }
    },
    code: 999,
    says: [
      /^error at storage engine: /,
      'Could not allocate IP in range',
      '10.5.0.0/30',
      'held by container a net1, container b net1',
      'braid ipam show',
    ],
  },
  {
    title: 'a range that is excluded as a whole',
    conf: whereabouts({ exclude: ['10.5.0.0/24'] }),
    code: 999,
    says: ['Could not allocate IP in range', '10.5.0.0/24'],
  },
  {
    title: 'a second range that is full',
    conf: whereabouts({ ipRanges: [{ range: '10.6.0.0/24', exclude: ['10.6.0.0/16'] }] }),
    code: 999,
    says: ['Could not allocate IP in range', '10.6.0.0/24'],
  },
  {
    title: 'a folder that is read-only',
    conf: whereabouts({}),
    prepare: (lab) => lab.makeReadOnly(join(lab.dir, 'store')),
    code: 5,
    says: ['/store', 'EROFS'],
  },
  {
    title: 'a store that is read-only',
    conf: whereabouts({}),
    prepare: async (lab) => {
      await mustAdd(lab, '10.5.0.0/24', 'a');
      await lab.makeReadOnly(join(lab.dir, 'store'));
    },
    code: 5,
    says: ['/store', 'EROFS'],
  },
  {
    title: 'a folder that is a file',
    conf: whereabouts({ data_dir: '{dir}/file' }),
    prepare: (lab) => writeFileSync(join(lab.dir, 'file'), 'x'),
    code: 5,
    says: ['/file', 'ENOTDIR'],
  },
  {
    title: 'a sequence that is a folder',
    conf: whereabouts({}),
    prepare: (lab) => void mkdirSync(join(lab.dir, 'store/sequence'), { recursive: true }),
    code: 5,
    says: ['/store/sequence', 'EISDIR'],
  },
  {
    title: 'a database that is a folder',
    conf: whereabouts({}),
    prepare: withStore((database) => {
      rmSync(database);
      mkdirSync(database);
    }),
    code: 5,
    says: ['/store/whereabouts-', 'EISDIR'],
  },
  {
    title: 'a disk that is full',
    conf: whereabouts({ data_dir: '{dir}/disk/store' }),
    prepare: (lab) => fullDisk(lab),
    code: 5,
    says: ['/disk', 'ENOSPC'],
  },
  {
    title: 'a database whose log is lost',
    conf: whereabouts({}),
    prepare: withStore((database) => truncateSync(`${database}-wal`)),
    code: 5,
    says: [
      'cannot trust the store',
      '/store/whereabouts-',
      /it is empty|lost the transactions from \d to 3/,
      '--repair',
    ],
  },
  {
    title: 'a database that is lost',
    conf: whereabouts({}),
    prepare: withStore((database) => rmSync(database)),
    code: 5,
    says: ['cannot trust the store', '/store/whereabouts-', 'missing', '--repair'],
  },
  {
    title: 'a database whose sequence is lost',
    conf: whereabouts({}),
    prepare: withStore((_, folder) => rmSync(join(folder, 'sequence'))),
    code: 5,
    says: ['/store/sequence', 'missing', '--repair'],
  },
  {
    title: 'a database that is none',
    conf: whereabouts({}),
    prepare: withStore((database) => {
      rmSync(`${database}-wal`);
      writeFileSync(database, 'x'.repeat(8192));
    }),
    code: 5,
    says: ['cannot trust the store', '/store/whereabouts-', 'not a database', '--repair'],
  },
  {
    title: 'a store that another call holds',
    conf: whereabouts({}),
    prepare: withStore((database, folder) => holdLock(database, folder)),
    code: 11,
    says: ['/store', '10000 ms'],
  },
];

/** A store with three reservations, to whose files something happens. */
function withStore(change: (database: string, folder: string) => unknown) {
  return async (lab: Lab): Promise<void> => {
    for (const containerId of ['a', 'b', 'd']) {
      await mustAdd(lab, '10.5.0.0/24', containerId);
    }
    const folder = join(lab.dir, 'store');
    await change(databaseIn(folder), folder);
  };
}

export async function mustAdd(lab: Lab, text: string, containerId: string): Promise<void> {
  const outcome = await lab.call({
    verb: 'ADD',
    plugin: 'whereabouts',
    conf: placed(range(text), lab),
    netns: '/proc/1/ns/net',
    containerId,
  });
  expect(outcome).toMatchObject({ exitCode: 0 });
}

/** Holds the lock of a database until the lab ends: its folder is deleted then, and so is what waits for that. */
async function holdLock(database: string, folder: string): Promise<void> {
  const program = `
    const { DatabaseSync } = require('node:sqlite');
    new DatabaseSync(process.argv[1]).exec('BEGIN IMMEDIATE');
    console.log('held');
    setInterval(() => require('node:fs').existsSync(process.argv[2]) || process.exit(), 200);`;
  const holder = spawn(process.execPath, ['-e', program, database, folder], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(holder.stdout, 'data');
  holder.unref();
}
