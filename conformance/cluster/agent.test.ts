/** The built agent on a node of a cluster: it frees what the node's deleted pods had. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveSandboxes } from '../braid/fake-runtime.ts';
import { eventually } from '../lab/eventually.ts';
import { STANDALONE } from '../lab/programs.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyCrds, applyNads, applyRbac } from './manifests.ts';
import { createPod, deletePod, serviceAccountToken, untilWatched } from './objects.ts';
import { expectSuccess } from './request.ts';

const API = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system';
const NADS = '/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions';
const STATUS = 'k8s.v1.cni.cncf.io/network-status';
const RANGE = '10.6.0.0/24';
const PATIENCE_MS = 90_000;

let cluster: Cluster;
let kubeconfig: string;
const folder = mkdtempSync(join(tmpdir(), 'braid-agent-'));
const running = new Set<ChildProcess>();

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyNads(cluster), applyRbac(cluster)]);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('whereabouts', { token, namespace: 'kube-system' });
  const config = JSON.stringify({ name: 'n', type: 'macvlan', ipam: { type: 'whereabouts', range: RANGE } });
  const kind = { apiVersion: 'k8s.cni.cncf.io/v1', kind: 'NetworkAttachmentDefinition' };
  await expectSuccess(
    cluster.send(NADS, { method: 'POST', body: { ...kind, metadata: { name: 'storage' }, spec: { config } } }),
  );
});

afterAll(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
  }
  rmSync(folder, { recursive: true, force: true });
  await cluster?.[Symbol.asyncDispose]();
});

const braid = (...options: readonly string[]): string[] => ['agent', '--socket', join(folder, 'socket'), ...options];

/** A pod with an address, and with what its ADD wrote of that. */
async function run(name: string, node: string): Promise<void> {
  const ipam = { type: 'whereabouts', range: RANGE, kubernetes: { kubeconfig }, data_dir: join(folder, node) };
  const { status, stdout } = spawnSync(join(STANDALONE, 'whereabouts'), [], {
    input: JSON.stringify({ cniVersion: '1.1.0', name: 'n', type: 'macvlan', ipam }),
    env: {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: name,
      CNI_NETNS: '/proc/self/ns/net',
      CNI_NETNS_OVERRIDE: '1',
      CNI_IFNAME: 'net1',
      CNI_PATH: STANDALONE,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name}`,
    },
    encoding: 'utf8',
  });
  expect(status, stdout).toBe(0);
  const { ips } = JSON.parse(stdout) as { ips: { address: string }[] };
  const networks = [{ name: 'default/storage', interface: 'net1', ips: [ips[0]?.address.split('/')[0]] }];
  await createPod(cluster, { name, node, annotations: { [STATUS]: JSON.stringify(networks) } });
}

async function holders(): Promise<readonly string[]> {
  const pool = await expectSuccess<{ spec: { allocations?: Readonly<Record<string, { podref: string }>> } }>(
    cluster.send(`${API}/ippools/${RANGE.replace('/', '-')}`),
  );
  return Object.values(pool.spec.allocations ?? {}).map(({ podref }) => podref);
}

it("frees what its node's deleted pods had when their sandboxes have gone, and ends when it is told to", async () => {
  await run('mine', 'n1');
  await run('runs', 'n1'); // the name of its sandbox, too
  await run('theirs', 'n2');
  const sandboxes = ['runs'];
  const cri = join(folder, 'cri.sock');
  await using _ = await serveSandboxes(cri, sandboxes);
  let said = '';
  let ended: Promise<unknown> | undefined;
  await untilWatched(cluster, ['pods', 'network-attachment-definitions'], () => {
    const options = ['--whereabouts-kubeconfig', kubeconfig, '--whereabouts-node', 'n1', '--cri', cri];
    const agent = spawn(join(STANDALONE, 'braid'), braid(...options), { stdio: ['ignore', 'ignore', 'pipe'] });
    running.add(agent);
    agent.stderr.on('data', (text: Buffer) => {
      said += text.toString();
    });
    ended = once(agent, 'exit');
  });
  for (const name of ['theirs', 'runs', 'mine']) {
    await deletePod(cluster, { name });
  }
  await eventually(async () => (await holders()).toSorted(), ['default/runs', 'default/theirs'], PATIENCE_MS);
  await eventually(async () => said.includes('default/mine: successful cleanup'), true, PATIENCE_MS);
  const keeps = 'default/runs keeps its addresses: the container runtime still has sandbox runs';
  await eventually(async () => said.includes(keeps), true, PATIENCE_MS);
  sandboxes.length = 0;
  await eventually(holders, ['default/theirs'], PATIENCE_MS);
  expect(said).not.toContain('theirs');
  for (const agent of running) {
    agent.kill('SIGTERM');
  }
  expect(await ended).toEqual([0, null]);
});

it('needs a cluster for the name of a node', () => {
  const { status, stderr } = spawnSync(join(STANDALONE, 'braid'), braid('--whereabouts-node', 'n1'), {
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([
    2,
    expect.stringContaining('"--whereabouts-node" needs "--whereabouts-kubeconfig"'),
  ]);
});
