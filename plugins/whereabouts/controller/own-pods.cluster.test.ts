/** The loop of a node's agent against a real API server, with the rights that plugins have. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { applyCrds, applyNads, applyRbac } from '../../../conformance/cluster/manifests.ts';
import { createNamespace, createPod, deletePod, serviceAccountToken } from '../../../conformance/cluster/objects.ts';
import { expectSuccess } from '../../../conformance/cluster/request.ts';
import { eventually } from '../../../conformance/lab/eventually.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { openDatabase } from '../../../lib/sys/database.ts';
import { NETWORK_STATUS } from '../sweep/network-status.ts';
import { ClusterNode } from '../testing/cluster-node.ts';
import { followOwnPods } from './own-pods.ts';

const API = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system';
const NADS = '/apis/k8s.cni.cncf.io/v1/namespaces/kube-system/network-attachment-definitions';
const RANGE = '10.5.0.0/24';
const PATIENCE_MS = 60_000;

let cluster: Cluster;
let kubeconfig: string;
let nodes: readonly [ClusterNode, ClusterNode];
const running: (() => Promise<void>)[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyNads(cluster), applyRbac(cluster), createNamespace(cluster, 'lab')]);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('plugins', { token, namespace: 'kube-system' });
  await eventually(
    async () =>
      (await Promise.all([NADS, `${API}/ippools`].map((path) => cluster.send(path)))).map((one) => one.status),
    [200, 200],
    PATIENCE_MS,
  );
  const config = JSON.stringify({ name: 'n', type: 'macvlan', ipam: { type: 'whereabouts', range: RANGE } });
  const kind = { apiVersion: 'k8s.cni.cncf.io/v1', kind: 'NetworkAttachmentDefinition' };
  const body = { ...kind, metadata: { name: 'storage' }, spec: { config } };
  await expectSuccess(cluster.send(NADS, { method: 'POST', body }));
  nodes = [new ClusterNode(kubeconfig), new ClusterNode(kubeconfig)];
});

afterAll(async () => {
  for (const node of nodes ?? []) {
    node[Symbol.dispose]();
  }
  await cluster?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((stop) => stop()));
});

/** An agent on the first or the second node, which has that node's journal. */
function start(index: 0 | 1): readonly string[] {
  const lines: string[] = [];
  const stopping = new AbortController();
  const scope = fakeScope({ node: { openDatabase }, log: (line) => lines.push(line) });
  const own = {
    kubeconfig,
    node: `n${index}`,
    cri: 'none',
    dataDirs: [nodes[index].folder],
    times: { settleMs: 200, missedMs: 100 },
  };
  const ended = followOwnPods(own, scope, stopping.signal);
  running.push(async () => {
    stopping.abort(new Error('over'));
    await ended;
  });
  return lines;
}

/** A pod that has an address, as it has one after ADD. */
async function run(name: string, index: 0 | 1): Promise<void> {
  const [ip = ''] = await nodes[index].add([`lab/${name} net1 id-${name}`], RANGE);
  const status = [{ name: 'kube-system/storage', interface: 'net1', ips: [ip.replace(/\/\d+$/, '')] }];
  const annotations = { [NETWORK_STATUS]: JSON.stringify(status) };
  await createPod(cluster, { name, namespace: 'lab', node: `n${index}`, annotations });
}

const drop = (name: string): Promise<unknown> => deletePod(cluster, { name, namespace: 'lab' });

interface Objects {
  readonly items: readonly {
    readonly spec: { readonly podref?: string; readonly allocations?: Readonly<Record<string, { podref: string }>> };
  }[];
}

/** Who has addresses, by pools and by reservations. */
async function holders(): Promise<readonly (readonly string[])[]> {
  const [pools, reservations] = await Promise.all(
    ['ippools', 'overlappingrangeipreservations'].map((kind) => expectSuccess<Objects>(cluster.send(`${API}/${kind}`))),
  );
  const inPools = (pools?.items ?? []).flatMap(({ spec }) => Object.values(spec.allocations ?? {}));
  return [
    inPools.map(({ podref }) => podref).sort(),
    (reservations?.items ?? []).flatMap(({ spec }) => spec.podref ?? []).sort(),
  ];
}

const held = (...names: readonly string[]) => [names, names].map((all) => all.map((name) => `lab/${name}`).sort());

it("an agent frees what its node's deleted pods had, and leaves those of other nodes alone", async () => {
  await run('mine', 0);
  await run('theirs', 1);
  await run('stays', 0);
  await run('before', 0);
  await drop('before');
  const lines = start(0);
  await eventually(holders, held('mine', 'stays', 'theirs'), PATIENCE_MS); // it watches by now
  await drop('theirs');
  await drop('mine');
  await eventually(holders, held('stays', 'theirs'), PATIENCE_MS);
  const freed = [
    'pods of node "n0": lab/before: successful cleanup of IP address [10.5.0.4] from network 10.5.0.0-24',
    'pods of node "n0": lab/mine: successful cleanup of IP address [10.5.0.1] from network kube-system/storage',
  ];
  await eventually(async () => [...lines], freed, PATIENCE_MS); // said when the server has answered
  start(1); // it was not there when its pod went, but its journal knows
  await eventually(holders, held('stays'), PATIENCE_MS);
  await drop('stays');
  await eventually(holders, held(), PATIENCE_MS);
});

it('an agent frees what went while it was away, and not what a successor has on another node', async () => {
  await run('gone', 0);
  await run('moved', 0);
  await drop('gone');
  await drop('moved');
  await createPod(cluster, { name: 'moved', namespace: 'lab', node: 'n1' });
  start(0);
  await eventually(holders, held('moved'), PATIENCE_MS);
  await cluster.restart('kill');
  await eventually(async () => (await cluster.send(`${API}/ippools`)).status, 200, PATIENCE_MS);
  await drop('moved');
  await running.splice(0).at(0)?.();
  start(0);
  await eventually(holders, held(), PATIENCE_MS);
});

it('two agents of one node, as during an update, free each address once', async () => {
  const names = Array.from({ length: 12 }, (_, index) => `p${index}`);
  for (const name of names) {
    await run(name, 0);
  }
  await run('before', 0);
  await drop('before');
  const logs = [start(0), start(0)];
  await eventually(holders, held(...names), PATIENCE_MS); // one of them watches by now, and so may the other
  await Promise.all(names.map(drop));
  await eventually(holders, held(), PATIENCE_MS);
  await Promise.all(running.splice(0).map((stop) => stop()));
  const freed = logs.flat().map((line) => /lab\/(\w+): successful/.exec(line)?.[1] ?? line);
  expect(freed.sort()).toEqual([...names, 'before'].sort());
});
