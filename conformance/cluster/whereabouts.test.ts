/** The built programs with a cluster's pools: every call a process of its own, or one of an agent's. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCRIPT, STANDALONE } from '../lab/programs.ts';
import { IS_RESIDENT, type Place, ResidentForm } from '../lab/resident.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyCrds, applyRbac } from './manifests.ts';
import { serviceAccountToken } from './objects.ts';
import { expectSuccess } from './request.ts';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
const API = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system';

let cluster: Cluster;
let kubeconfig: string;

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('whereabouts', { token, namespace: 'kube-system' });
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

describe.each([
  [IS_RESIDENT ? 'the launcher' : 'the executable', STANDALONE, '10.7.0.0/24'],
  ['the script', SCRIPT, '10.8.0.0/24'],
])('whereabouts in a cluster, %s', (_, folder, range) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'braid-journal-'));
  const isResident = IS_RESIDENT && folder === STANDALONE;
  const resident = new ResidentForm([], { prefix: 'braid-journal', dir: dataDir }, isResident);
  let place: Place | undefined;
  beforeAll(async () => {
    place = await resident.at();
  });
  afterAll(() => {
    resident[Symbol.dispose]();
    rmSync(dataDir, { recursive: true, force: true });
  });

  function call(verb: string, id: string, document: object = {}, { keys = {}, node = '' } = {}) {
    const ipam = { type: 'whereabouts', range, kubernetes: { kubeconfig }, data_dir: dataDir, ...keys };
    const conf = { cniVersion: '1.1.0', name: 'net-a', type: 'macvlan', ipam, ...document };
    const { status, stdout, stderr } = spawnSync(join(place?.bin ?? folder, 'whereabouts'), [], {
      input: JSON.stringify(conf),
      env: {
        PATH: process.env['PATH'],
        NODENAME: node,
        CNI_COMMAND: verb,
        CNI_CONTAINERID: id,
        CNI_NETNS: '/proc/self/ns/net',
        CNI_NETNS_OVERRIDE: '1',
        CNI_IFNAME: 'net1',
        CNI_PATH: folder,
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${id}`,
        ...place?.env,
      },
      encoding: 'utf8',
    });
    const answer = stdout === '' ? {} : (JSON.parse(stdout) as { ips?: { address: string }[]; msg?: string });
    return { status, stderr, addresses: answer.ips?.map(({ address }) => address), msg: answer.msg };
  }

  async function held(): Promise<Readonly<Record<string, object>>> {
    const pool = await expectSuccess<{ spec: { allocations: Readonly<Record<string, object>> } }>(
      cluster.send(`${API}/ippools/${range.replace('/', '-')}`),
    );
    return pool.spec.allocations;
  }

  const base = range.slice(0, range.lastIndexOf('.'));

  it('reserves, checks, collects and frees, with the rights of the manifests', async () => {
    expect(call('ADD', 'a')).toEqual({ status: 0, stderr: '', addresses: [`${base}.1/24`], msg: undefined });
    expect(call('ADD', 'a').addresses).toEqual([`${base}.1/24`]);
    expect(call('ADD', 'b').addresses).toEqual([`${base}.2/24`]);
    expect(await held()).toEqual({
      1: { id: 'a', podref: 'lab/a', ifname: 'net1' },
      2: { id: 'b', podref: 'lab/b', ifname: 'net1' },
    });
    const prevResult = { cniVersion: '1.1.0', ips: [{ address: `${base}.1/24` }] };
    expect(call('CHECK', 'a', { prevResult }).status).toBe(0);
    expect(call('STATUS', '')).toMatchObject({ status: 0, stderr: '' });
    const valid = [{ containerID: 'a', ifname: 'net1' }];
    expect(call('GC', '', { 'cni.dev/valid-attachments': valid }).status).toBe(0);
    expect(Object.keys(await held())).toEqual(['1']);
    expect([call('DEL', 'a').status, call('DEL', 'a').status]).toEqual([0, 0]);
    expect(await held()).toEqual({});
  });

  it('gives nodes addresses of their own slices, under the lease of each pool', async () => {
    const name = `cut-${range.replaceAll(/[./]/g, '-')}`;
    const allocations = ['w-1', 'w-2'].map((nodeName, index) => ({ nodeName, sliceRange: `${base}.${index * 64}/26` }));
    const object = { metadata: { name }, spec: { range, sliceSize: '/26' }, status: { allocations } };
    await expectSuccess(
      cluster.send(`${API}/nodeslicepools`, {
        method: 'POST',
        body: { apiVersion: 'whereabouts.cni.cncf.io/v1alpha1', kind: 'NodeSlicePool', ...object },
      }),
    );
    const keys = { network_name: name, node_slice_size: '/26', concurrency: 'lease', exclude: [`${base}.65`] };
    const on = (node: string) => ({ keys, node });
    expect(call('ADD', 'a', {}, on('w-1'))).toMatchObject({ status: 0, stderr: '', addresses: [`${base}.1/24`] });
    expect(call('ADD', 'b', {}, on('w-2')).addresses).toEqual([`${base}.66/24`]);
    expect(call('ADD', 'c', {}, on('w-3')).msg).toContain(
      `NodeSlicePool "${name}": no allocated node slice for node "w-3"`,
    );
    const prevResult = { cniVersion: '1.1.0', ips: [{ address: `${base}.66/24` }] };
    expect(call('CHECK', 'b', { prevResult }, on('w-2')).status).toBe(0);
    expect(['w-1', 'w-3'].map((node) => call('STATUS', '', {}, on(node)).status)).toEqual([0, 1]);
    await expectSuccess(cluster.send(`${API}/nodeslicepools/${name}`, { method: 'DELETE' }));
    expect([call('DEL', 'a', {}, on('w-1')), call('DEL', 'b', {}, on('w-2'))]).toMatchObject([
      { status: 0, stderr: '' },
      { status: 0, stderr: '' },
    ]);
    const pools = [`w-1-${base}.0-26`, `w-2-${base}.64-26`].map((pool) => `${name}-${pool}`);
    for (const pool of pools) {
      expect(await expectSuccess(cluster.send(`${API}/ippools/${pool}`))).toMatchObject({ spec: { allocations: {} } });
      expect(await expectSuccess(cluster.send(`${LEASES}/${pool}`))).toMatchObject({
        spec: { leaseDurationSeconds: 1, leaseTransitions: 1 },
      });
    }
  });

  it('lets pods go while the API server is away, and gives back what they had afterwards', async () => {
    call('ADD', 'c');
    await cluster.apiServer().kill();
    try {
      expect(call('DEL', 'c')).toMatchObject({ status: 0, stderr: expect.stringContaining('is given back later') });
      const { status, msg } = call('STATUS', '');
      expect([status, msg]).toEqual([1, expect.stringContaining('addresses of 1 deleted attachments')]);
    } finally {
      await cluster.restart();
    }
    expect(Object.keys(await held())).toEqual(['1']);
    await new Promise((resolve) => setTimeout(resolve, 1000)); // it is not tried again before
    expect(call('STATUS', '')).toMatchObject({ status: 0, stderr: '' });
    expect(await held()).toEqual({});
  });
});
