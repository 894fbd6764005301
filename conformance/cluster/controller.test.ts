/** The built programs as controllers of one cluster. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SCRIPT, STANDALONE } from '../lab/programs.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyController, applyCrds, applyNads } from './manifests.ts';
import { serviceAccountToken } from './objects.ts';
import { expectSuccess } from './request.ts';

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/braid-controller';
const POOLS = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools';

let cluster: Cluster;
let kubeconfig: string;
let folder: string;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyNads(cluster), applyController(cluster)]);
  const token = await serviceAccountToken(cluster, 'braid-controller');
  kubeconfig = cluster.kubeconfig('controller', { token, namespace: 'kube-system' });
  folder = mkdtempSync(join(tmpdir(), 'braid-controller-'));
});

afterEach(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
  }
  running.clear();
  await cluster.send(LEASE, { method: 'DELETE' });
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.[Symbol.asyncDispose]();
});

interface Running {
  readonly child: ChildProcess;
  readonly stderr: () => string;
  readonly ended: Promise<number | null>;
  get(path: string): Promise<string>;
}

async function start(form = STANDALONE, args: readonly string[] = []): Promise<Running> {
  const own = ['controller', '--kubeconfig', kubeconfig, '--address', '127.0.0.1:0', ...args];
  const child = spawn(join(form, 'braid'), own, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const port = (): string | undefined => /on port (\d+)/.exec(stderr)?.[1];
  await until(async () => port() !== undefined || child.exitCode !== null);
  return { child, stderr: () => stderr, ended, get: (path) => get(Number(port()), path) };
}

const get = (port: number, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ port, path, host: '127.0.0.1' }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) {
    await sleep(50);
  }
}

const holder = async (): Promise<string> => {
  const lease = await expectSuccess<{ spec: { holderIdentity?: string } }>(cluster.send(LEASE));
  return lease.spec.holderIdentity ?? '';
};

async function makePool(name: string, range: string): Promise<void> {
  const kind = { apiVersion: 'whereabouts.cni.cncf.io/v1alpha1', kind: 'IPPool' };
  const allocations = { 1: { id: 'c1', podref: 'lab/gone', ifname: 'net1' } };
  await expectSuccess(
    cluster.send(POOLS, { method: 'POST', body: { ...kind, metadata: { name }, spec: { range, allocations } } }),
  );
}

const isEmpty = async (name: string): Promise<boolean> => {
  const { spec } = await expectSuccess<{ spec: { allocations: object } }>(cluster.send(`${POOLS}/${name}`));
  return Object.keys(spec.allocations).length === 0;
};

describe('braid controller', () => {
  it('lets one of two lead; the other goes on at once when the first is told to end', async () => {
    const [a, b] = [await start(), await start(SCRIPT)];
    await until(async () => (await Promise.all([a, b].map((one) => one.get('/readyz')))).includes('leader\n'));
    await until(async () => (await Promise.all([a, b].map((one) => one.get('/readyz')))).includes('standby\n'));
    const [leader, other] = (await a.get('/readyz')) === 'leader\n' ? [a, b] : [b, a];
    expect(await leader.get('/metrics')).toMatch(/^braid_controller_leader 1$/m);
    expect(await other.get('/metrics')).toMatch(/^braid_controller_leader 0$/m);
    expect(await other.get('/healthz')).toBe('ok\n');
    leader.child.kill('SIGTERM');
    expect(await leader.ended).toBe(0);
    await until(async () => (await other.get('/readyz')) === 'leader\n');
    other.child.kill('SIGINT');
    expect(await other.ended).toBe(0);
    expect(await holder()).toBe('');
  });

  it('takes over from a leader that was killed, when its lease is over, and does its work', async () => {
    const [a, b] = [await start(), await start()];
    await until(async () => (await Promise.all([a, b].map((one) => one.get('/readyz')))).includes('leader\n'));
    const [leader, other] = (await a.get('/readyz')) === 'leader\n' ? [a, b] : [b, a];
    const before = await holder();
    leader.child.kill('SIGKILL');
    await makePool('10.1.0.0-24', '10.1.0.0/24');
    expect(await leader.ended).toBeNull();
    await until(async () => (await other.get('/readyz')) === 'leader\n');
    expect(await holder()).not.toBe(before);
    await until(() => isEmpty('10.1.0.0-24')); // a minute later: it looks twice
    await until(async () => /^whereabouts_pool_size\{pool="10.1.0.0-24"\} 254$/m.test(await other.get('/metrics')));
  }, 180_000);

  it('refuses what it does not know, before it asks for anything', () => {
    const run = (...args: readonly string[]) => {
      const { status, stderr } = spawnSync(join(STANDALONE, 'braid'), ['controller', ...args], {
        encoding: 'utf8',
        env: {},
      });
      return [status, stderr.split('\n')[0]];
    };
    expect(run('--parts', 'pods,nonsense')).toEqual([
      2,
      'braid: unknown part "nonsense": the parts are reconciler, pods, slices',
    ]);
    expect(run('--address', '8080')).toEqual([2, 'braid: "8080" is not an address to listen at: write ":8080"']);
    expect(run('--interval', 'soon')).toEqual([2, 'braid: option "--interval" needs a number of seconds, not "soon"']);
    expect(run()).toEqual([1, expect.stringContaining('KUBERNETES_SERVICE_HOST')]);
  });

  it('waits for an API server that is away', async () => {
    const path = join(folder, 'away.kubeconfig');
    writeFileSync(
      path,
      JSON.stringify({
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
        clusters: [{ name: 'k', cluster: { server: 'https://127.0.0.1:1' } }],
        users: [{ name: 'u', user: { token: 't' } }],
      }),
    );
    const one = await start(STANDALONE, ['--kubeconfig', path]);
    await until(async () => one.stderr().includes('cannot be a candidate'));
    expect(await one.get('/readyz')).toBe('starting\n');
    one.child.kill('SIGTERM');
    expect(await one.ended).toBe(0);
  });
});
