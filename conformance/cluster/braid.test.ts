/** `braid` on a node whose addresses are in a cluster's pools. */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCRIPT, STANDALONE } from '../lab/programs.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyCrds, applyRbac } from './manifests.ts';
import { createNamespace, createPod, serviceAccountToken } from './objects.ts';
import { expectSuccess } from './request.ts';

const API = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system';
const ABOUT_ALL = ['--cri', 'none', '--wait', '0'];

let cluster: Cluster;
let kubeconfig: string;

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  await createNamespace(cluster, 'lab');
  await Promise.all(['a', 'b', 'd'].map((name) => createPod(cluster, { name, namespace: 'lab' })));
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('whereabouts', { token, namespace: 'kube-system' });
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

interface Checked {
  readonly troubles: readonly { readonly kind: string; readonly address: string }[];
  readonly repaired: readonly { readonly address: string }[];
}

describe.each([
  ['the executable', STANDALONE],
  ['the script', SCRIPT],
])('braid on a node of a cluster, %s', (_, folder) => {
  const dir = mkdtempSync(join(tmpdir(), 'braid-node-'));
  const net = `10.${randomInt(64, 224)}.${randomInt(256)}`;
  const netns = `braid-${randomInt(2 ** 32).toString(16)}`;
  const pool = `${API}/ippools/${net}.0-24`;

  beforeAll(() => {
    for (const name of ['conf', 'state', 'data']) {
      mkdirSync(join(dir, name));
    }
    writeFileSync(join(dir, 'conf', '10.conf'), JSON.stringify(conf));
  });

  afterAll(() => {
    spawnSync('ip', ['netns', 'del', netns]);
    rmSync(dir, { recursive: true, force: true });
  });

  const conf = {
    cniVersion: '1.1.0',
    name: 'net-a',
    type: 'macvlan',
    get ipam() {
      const own = { type: 'whereabouts', range: `${net}.0/24`, gateway: `${net}.254`, exclude: [`${net}.254`] };
      return { ...own, kubernetes: { kubeconfig }, data_dir: join(dir, 'data') };
    },
  };

  /** /var/lib/cni is the test's own. */
  function run(program: string, args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}) {
    const script = 'mkdir -p /var/lib/cni && mount --bind "$0" /var/lib/cni && exec "$@"';
    const argv = [
      '-m',
      '--propagation',
      'slave',
      'sh',
      '-c',
      script,
      join(dir, 'state'),
      join(folder, program),
      ...args,
    ];
    const { status, stdout, stderr } = spawnSync('unshare', argv, {
      input,
      env: { PATH: process.env['PATH'], ...env },
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  function add(id: string): void {
    const env = {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: `${net}-${id}`,
      CNI_NETNS: '/proc/self/ns/net',
      CNI_NETNS_OVERRIDE: '1',
      CNI_IFNAME: 'net1',
      CNI_PATH: folder,
      CNI_ARGS: `K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${id}`,
    };
    expect(run('whereabouts', [], JSON.stringify(conf), env)).toMatchObject({ status: 0, stderr: '' });
  }

  const braid = (...args: readonly string[]) => run('braid', [...args, '--conf-dir', join(dir, 'conf')]);

  function json<T>(status: number, ...args: readonly string[]): T {
    const outcome = braid(...args, '--json');
    expect(outcome, outcome.stderr).toMatchObject({ status });
    return JSON.parse(outcome.stdout) as T;
  }

  async function heldKeys(): Promise<readonly string[]> {
    const { spec } = await expectSuccess<{ spec: { allocations: object } }>(cluster.send(pool));
    return Object.keys(spec.allocations);
  }

  /** What a Go node has there: a pod that lives, and one that is gone. */
  async function putOthers(): Promise<void> {
    const body = [
      { op: 'add', path: '/spec/allocations/8', value: { id: 'go-d', podref: 'lab/d', ifname: 'net1' } },
      { op: 'add', path: '/spec/allocations/9', value: { id: 'go-e', podref: 'lab/e', ifname: 'net1' } },
    ];
    await expectSuccess(cluster.send(pool, { method: 'PATCH', body, contentType: 'application/json-patch+json' }));
    for (const [ip, podref] of [
      [`${net}.8`, 'lab/d'],
      [`${net}.9`, 'lab/e'],
    ] as const) {
      const kind = { apiVersion: 'whereabouts.cni.cncf.io/v1alpha1', kind: 'OverlappingRangeIPReservation' };
      const object = { ...kind, metadata: { name: ip }, spec: { podref, ifname: 'net1' } };
      await expectSuccess(cluster.send(`${API}/overlappingrangeipreservations`, { method: 'POST', body: object }));
    }
  }

  it('lists and shows what pods have, and frees what nobody has any more', async () => {
    for (const id of ['a', 'b', 'c']) {
      add(id);
    }
    await putOthers();
    spawnSync('ip', ['netns', 'add', netns]);
    spawnSync('ip', ['-n', netns, 'address', 'add', `${net}.1/32`, 'dev', 'lo']);
    const listed = json<readonly { pod: string; addresses: readonly string[] }[]>(0, 'list');
    expect(listed.map(({ pod: of, addresses }) => [of, ...addresses])).toEqual([
      ['lab/a', `${net}.1/24`],
      ['lab/b', `${net}.2/24`],
      ['lab/c', `${net}.3/24`],
    ]);
    const shown = json<readonly { pool: string; counts: object; kubeconfig?: string }[]>(0, 'ipam', 'show');
    expect(shown.find((one) => one.pool === `${net}.0-24`)).toMatchObject({
      kubeconfig,
      counts: { addresses: '256', taken: '5', static: '1', excluded: '2', free: '248' },
    });
    const check = ['ipam', 'check', ...ABOUT_ALL];
    const own = ({ troubles }: Checked) => troubles.filter(({ address }) => address.startsWith(`${net}.`));
    const leaks = ['2', '3', '9'].map((key) => ({ kind: 'leak', address: `${net}.${key}` }));
    expect(own(json(1, ...check))).toMatchObject(leaks);
    expect(json<Checked>(0, ...check, '--repair').repaired.map(({ address }) => address)).toEqual(
      leaks.map(({ address }) => address),
    );
    expect(await heldKeys()).toEqual(['1', '8']);
    expect(own(json(0, ...check))).toEqual([]);
    expect(json<readonly object[]>(0, 'list')).toHaveLength(1);
  });

  it('collects what dead containers have, also when the API server is away, and says so', async () => {
    add('b');
    const gc = ['gc', ...ABOUT_ALL, '--bin', folder];
    await cluster.apiServer().kill();
    try {
      const faults = braid('doctor', '--cri', 'none').stdout;
      expect(faults).toContain('nothing listens at');
      expect(json<{ collected: readonly object[] }>(0, ...gc).collected).toHaveLength(1);
    } finally {
      await cluster.restart();
    }
    expect(await heldKeys()).toEqual(['1', '2', '8']);
    expect(braid('doctor', '--cri', 'none').stdout).toContain(
      'addresses of 1 deleted attachment are still to be given back',
    );
    await new Promise((resolve) => setTimeout(resolve, 1000)); // it is not tried again before
    add('a'); // any call that reaches the server
    expect(await heldKeys()).toEqual(['1', '8']);
    expect(braid('doctor', '--cri', 'none').stdout).not.toContain('given back');
  });
});
