import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { applyCrds, applyRbac } from '../../../conformance/cluster/manifests.ts';
import {
  createNamespace,
  createPod,
  createServiceAccount,
  deletePod,
  serviceAccountToken,
} from '../../../conformance/cluster/objects.ts';
import { expectSuccess } from '../../../conformance/cluster/request.ts';
import type { Container } from '../../../lib/cli/scan.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { examine } from '../examine.ts';
import { exportStore } from '../export.ts';
import { importCommand } from '../import-command.ts';
import { listRecords } from '../recorded.ts';
import { readPlace } from '../settings.ts';
import { ClusterNode } from '../testing/cluster-node.ts';
import { checkClusters } from './check-clusters.ts';

const API = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system';
const GROUP = 'whereabouts.cni.cncf.io/v1alpha1';

let cluster: Cluster;
let kubeconfig: string;
let folder: string;
let node: ClusterNode;

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  await createNamespace(cluster, 'lab');
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('whereabouts', { token, namespace: 'kube-system' });
  folder = mkdtempSync(join(tmpdir(), 'braid-survey-'));
  node = new ClusterNode(kubeconfig);
});

afterAll(async () => {
  node?.[Symbol.dispose]();
  await cluster?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const post = (path: string, body: object) => expectSuccess(cluster.send(path, { method: 'POST', body }));

/** As the Go plugin writes it: first the pool, then the reservation, which says nothing of containers. */
async function goAdds(range: string, entries: Readonly<Record<string, string>>): Promise<void> {
  const allocations = Object.fromEntries(
    Object.entries(entries).map(([key, text]) => {
      const [podref = '', id = ''] = text.split(' ');
      return [key, { id, podref, ifname: 'net1' }];
    }),
  );
  const metadata = { name: range.replace('/', '-'), namespace: 'kube-system' };
  await post(`${API}/ippools`, { apiVersion: GROUP, kind: 'IPPool', metadata, spec: { range, allocations } });
  for (const [key, { podref }] of Object.entries(allocations)) {
    await goReserves(`${range.slice(0, range.lastIndexOf('.'))}.${key}`, podref);
  }
}

const goReserves = (name: string, podref: string) =>
  post(`${API}/overlappingrangeipreservations`, {
    apiVersion: GROUP,
    kind: 'OverlappingRangeIPReservation',
    metadata: { name, namespace: 'kube-system' },
    spec: { podref, ifname: 'net1' },
  });

interface Pool {
  readonly spec: { readonly allocations: Readonly<Record<string, object>> };
}

async function keysOf(range: string): Promise<readonly string[]> {
  const pool = await expectSuccess<Pool>(cluster.send(`${API}/ippools/${range.replace('/', '-')}`));
  return Object.keys(pool.spec.allocations);
}

async function reservedIn(prefix: string): Promise<readonly string[]> {
  const { items } = await expectSuccess<{
    readonly items: readonly { readonly metadata: { readonly name: string } }[];
  }>(cluster.send(`${API}/overlappingrangeipreservations`));
  return items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith(prefix));
}

const confOf = (range: string) => ({
  cniVersion: '1.1.0',
  name: 'net-a',
  type: 'macvlan',
  ipam: { type: 'whereabouts', range, kubernetes: { kubeconfig }, data_dir: join(folder, 'data') },
});

const checked = (range: string, mayRepair = false, containers: readonly Container[] = [], own = kubeconfig) => {
  const conf = confOf(range);
  const confs = [{ ...conf, ipam: { ...conf.ipam, kubernetes: { kubeconfig: own } } }];
  const known = { containers, namespaces: [], located: [] };
  const options = { kubeconfig: [], 'in-cluster': false, namespace: '' };
  return checkClusters({ confs, known, options, env: {}, waitMs: 0, mayRepair }, fakeScope(), () => undefined);
};

describe('braid ipam check in a cluster', () => {
  it('finds what Go nodes and ours have left behind, frees it, and leaves the living alone', async () => {
    const range = '10.20.0.0/24';
    await goAdds(range, { 1: 'lab/go-alive goA', 2: 'lab/go-gone goB' });
    expect(await node.add(['lab/ours-alive net1 idA', 'lab/ours-gone net1 idB'], range)).toEqual([
      '10.20.0.3',
      '10.20.0.4',
    ]);
    await goReserves('10.20.0.9', 'lab/nobody');
    for (const name of ['go-alive', 'ours-alive', 'ours-gone']) {
      await createPod(cluster, { name, namespace: 'lab' });
    }
    await deletePod(cluster, { name: 'ours-gone', namespace: 'lab' });
    await goReserves('10.20.0.8', 'lab/go-alive');
    const found = await checked(range, true);
    expect(found.troubles.map(({ kind, address }) => [kind, address])).toEqual([
      ['leak', '10.20.0.2'],
      ['leak', '10.20.0.4'],
      ['unclear', '10.20.0.8'],
      ['orphan', '10.20.0.9'],
    ]);
    expect([found.faults, found.unasked, found.repaired.size]).toEqual([[], [], 3]);
    expect([await keysOf(range), await reservedIn('10.20.0.')]).toEqual([
      ['1', '3'],
      ['10.20.0.1', '10.20.0.3', '10.20.0.8'],
    ]);
    expect((await checked(range)).troubles.map(({ kind }) => kind)).toEqual(['unclear']);
  });

  it('frees what containers of this node have left that are dead, and believes it that others live', async () => {
    const range = '10.21.0.0/24';
    await goAdds(range, { 1: 'lab/none deadHere', 2: 'lab/none-too aliveHere' });
    const container = (containerId: string, state: Container['state']) => ({
      containerId,
      state,
      records: [],
      reason: 'r',
    });
    const { troubles } = await checked(range, true, [container('deadHere', 'dead'), container('aliveHere', 'live')]);
    const own = troubles.filter(({ address }) => address.startsWith('10.21.'));
    expect(own.map(({ kind, address, text }) => [kind, address, text])).toEqual([
      ['leak', '10.21.0.1', '10.21.0.1 is reserved for lab/none net1, which is dead: r'],
    ]);
    expect([await keysOf(range), await reservedIn('10.21.0.')]).toEqual([['2'], ['10.21.0.2']]);
    expect((await checked(range, true)).repaired.size).toBe(1); // no longer known here
  });

  it('checks what it may, and says what it may not', async () => {
    await createServiceAccount(cluster, 'poor');
    const rules = [{ apiGroups: ['whereabouts.cni.cncf.io'], resources: ['ippools'], verbs: ['get', 'list'] }];
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system';
    await post(`${rbac}/roles`, { metadata: { name: 'poor' }, rules });
    const subjects = [{ kind: 'ServiceAccount', name: 'poor', namespace: 'kube-system' }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'poor' };
    await post(`${rbac}/rolebindings`, { metadata: { name: 'poor' }, subjects, roleRef });
    const token = await serviceAccountToken(cluster, 'poor');
    const poor = cluster.kubeconfig('poor', { token, namespace: 'kube-system' });
    const range = '10.22.0.0/24';
    await goAdds(range, { 1: 'lab/gone goA' });
    const { troubles, unasked, faults } = await checked(range, true, [], poor);
    expect([troubles, faults]).toEqual([[], []]);
    expect(unasked.map((text) => text.split(': ').at(-1))).toEqual([
      'reservations across ranges are not known',
      'slices are known by their pools only',
      'what is excluded is known from configurations of this machine only',
      'whether pods of "lab" still use their addresses is not checked',
    ]);
    const conf = confOf(range);
    const found = await examine(fakeScope(), {
      confs: [{ ...conf, ipam: { ...conf.ipam, kubernetes: { kubeconfig: poor } } }],
      records: [],
      isGone: () => false,
    });
    expect(found.filter(({ text }) => text.includes('rights'))).toMatchObject([
      {
        text: expect.stringContaining(
          '7 rights in "kube-system" are missing (create ippools, patch ippools, get overlapping',
        ),
      },
    ]);
  });
});

describe('braid ipam import into a cluster', () => {
  const run = async (...args: readonly string[]): Promise<readonly string[]> => {
    const lines: string[] = [];
    const places = ['--kubeconfig', kubeconfig, '--data-dir', join(folder, 'data')];
    expect(await importCommand.run([...args, ...places], fakeScope(), (line) => lines.push(line))).toBe(0);
    return lines;
  };

  const exportOf = (networks: readonly object[]): string => {
    const file = join(folder, 'export.json');
    writeFileSync(file, JSON.stringify({ format: 1, networks }));
    return file;
  };
  const reservation = (address: string, containerId: string) => ({
    address,
    containerId,
    interface: 'net1',
    pod: `lab/${containerId}`,
    network: '',
  });

  it('takes in what another store has exported, also more than one patch takes, and exports the same', async () => {
    const many = Array.from({ length: 1100 }, (_, at) =>
      reservation(`10.30.${(at + 1) >> 8}.${(at + 1) & 255}`, `m${at}`),
    );
    const pools = [
      { range: '10.30.0.0/20', reservations: many },
      { range: '10.30.0.0/24', reservations: [reservation('10.30.0.1', 'twice')] },
    ];
    const file = exportOf([{ networkName: 'many', pools }]);
    expect(await run(file)).toEqual(['imported 1101 addresses of network "many"; 0 already there']);
    expect(await run(file)).toEqual(['imported 0 addresses of network "many"; 1101 already there']);
    const out: string[] = [];
    await exportStore(['--kubeconfig', kubeconfig], fakeScope(), (line) => out.push(line));
    const { networks } = JSON.parse(out.join('\n')) as { networks: { networkName: string; pools: object[] }[] };
    expect(networks.find(({ networkName }) => networkName === 'many')?.pools).toEqual(pools);
    expect(await reservedIn('many-10.30.')).toHaveLength(1100);
  });

  it('takes in slices of nodes, and check frees what is in them', async () => {
    const pools = [{ range: '10.34.0.64/26', node: 'w-7', reservations: [reservation('10.34.0.65', 'gone')] }];
    const spec = { range: '10.34.0.0/24', sliceSize: '/26' };
    const status = { allocations: [{ nodeName: 'w-7', sliceRange: '10.34.0.64/26' }] };
    await post(`${API}/nodeslicepools`, {
      apiVersion: GROUP,
      kind: 'NodeSlicePool',
      metadata: { name: 'sliced' },
      spec,
      status,
    });
    expect(await run(exportOf([{ networkName: 'sliced', pools }]))).toEqual([
      'imported 1 address of network "sliced"; 0 already there',
    ]);
    expect(await expectSuccess(cluster.send(`${API}/ippools/sliced-w-7-10.34.0.64-26`))).toMatchObject({
      spec: { allocations: { 1: { id: 'gone', podref: 'lab/gone', ifname: 'net1' } } },
    });
    expect(await reservedIn('sliced-')).toEqual(['sliced-10.34.0.65']);
    const { troubles } = await checked('10.34.0.0/24', true);
    expect(troubles).toContainEqual(
      expect.objectContaining({ kind: 'leak', address: '10.34.0.65', pool: 'sliced-w-7-10.34.0.64-26' }),
    );
    expect(await reservedIn('sliced-')).toEqual([]);
  });

  it('changes nothing when an address has another owner', async () => {
    await goAdds('10.31.0.0/24', { 1: 'lab/other other' });
    const reservations = [reservation('10.31.0.2', 'new'), reservation('10.31.0.1', 'mine')];
    const file = exportOf([{ networkName: '', pools: [{ range: '10.31.0.0/24', reservations }] }]);
    await expect(run(file)).rejects.toThrow('cannot import 10.31.0.1 of container mine: container other net1 holds it');
    expect([await keysOf('10.31.0.0/24'), await reservedIn('10.31.0.')]).toEqual([['1'], ['10.31.0.1']]);
    const across = exportOf([{ networkName: '', pools: [{ range: '10.31.0.0/16', reservations }] }]);
    await expect(run(across)).rejects.toThrow('cannot import 10.31.0.1 of container mine: lab/other net1 holds it');
    expect(await reservedIn('10.31.0.')).toEqual(['10.31.0.1']);
  });

  it("takes in host-local's addresses, which DEL and gc of this node find", async () => {
    const source = mkdtempSync(join(folder, 'local-'));
    writeFileSync(join(source, '10.32.0.7'), 'localA\r\neth0');
    expect(await run(source, '--range', '10.32.0.0/24')).toEqual([
      'imported 1 address of range 10.32.0.0/24; 0 already there',
      'the pods of 1 address are not known: only their own DEL frees them',
    ]);
    const records = await listRecords(fakeScope(), [confOf('10.32.0.0/24')]);
    const own = records.find(({ containerId }) => containerId === 'localA');
    expect(own).toMatchObject({ ifName: 'eth0', addresses: ['10.32.0.7/24'] });
    expect(readPlace(own?.release ?? {}).place).toMatchObject({ kind: 'kubernetes', kubeconfig, networkName: '' });
    expect((await checked('10.32.0.0/24')).troubles.filter(({ address }) => address.includes('10.32.'))).toEqual([]);
  });

  it("reads NV-IPAM's pools there, and takes in what its daemon has given out", async () => {
    for (const [plural, kind] of [
      ['ippools', 'IPPool'],
      ['cidrpools', 'CIDRPool'],
    ] as const) {
      const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
      await post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
        metadata: { name: `${plural}.nv-ipam.nvidia.com` },
        spec: {
          group: 'nv-ipam.nvidia.com',
          scope: 'Namespaced',
          names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
          versions: [{ name: 'v1alpha1', served: true, storage: true, schema }],
        },
      });
    }
    const pool = {
      apiVersion: 'nv-ipam.nvidia.com/v1alpha1',
      kind: 'IPPool',
      metadata: { name: 'rail-a' },
      spec: { subnet: '10.33.0.0/24', perNodeBlockSize: 10, gateway: '10.33.0.1' },
    };
    await vi.waitFor(() => post('/apis/nv-ipam.nvidia.com/v1alpha1/namespaces/lab/ippools', pool), 20_000);
    const store = join(folder, 'store');
    const entry = {
      container_id: 'nvA',
      interface_name: 'net1',
      ip_address: '10.33.0.2',
      metadata: { pod_name: 'nv', pod_namespace: 'lab' },
    };
    writeFileSync(
      store,
      JSON.stringify({ version: 1, checksum: 1, pools: { 'rail-a': { entries: { nvA_net1: entry } } } }),
    );
    const admin = cluster.kubeconfig('admin');
    const lines: string[] = [];
    const args = [
      '--nv-ipam',
      '--kubeconfig',
      admin,
      '--namespace',
      'kube-system',
      '--reservations',
      store,
      '--data-dir',
      join(folder, 'nv'),
    ];
    expect(await importCommand.run(args, fakeScope(), (line) => lines.push(line))).toBe(0);
    expect(lines[0]).toBe('# IPPool "rail-a"');
    expect(JSON.parse((lines[1] ?? '').replace('"ipam": ', ''))).toMatchObject({
      range: '10.33.0.0/24',
      gateway: '10.33.0.1',
      exclude: ['10.33.0.1'],
      node_slice_size: '/28',
    });
    expect(lines.at(-1)).toBe('imported 1 address of network "rail-a"; 0 already there');
    expect(await reservedIn('rail-a-')).toEqual(['rail-a-10.33.0.2']);
  });
});
