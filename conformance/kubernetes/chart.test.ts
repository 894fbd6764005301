/** The chart on nodes with a network of their own: what it brings, and what becomes of running pods when it changes. */
import { readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectSuccess } from '../cluster/request.ts';
import { until } from '../containerd/poll.ts';
import { eventually } from '../lab/eventually.ts';
import { filesIn } from '../lab/state.ts';
import { CNI_BIN, CNI_CONF } from './configs.ts';
import { everything } from './everything.ts';
import { Kubernetes } from './kubernetes.ts';
import { applyNetwork } from './multus.ts';
import { macvlan } from './networks.ts';
import { CONF_FILE, type Node } from './node.ts';
import { deletePods, NETWORKS, networkStatusOf, type RunningPod, reach, removePods, running, runPods } from './pods.ts';
import { reserved, taken } from './pools.ts';
import {
  ask,
  NAMESPACE,
  NEXT,
  networkFiles,
  OWN_CONF,
  ownNetwork,
  prepareNodes,
  Release,
  releasePods,
} from './release.ts';

const HTTP = 8080;
const BRAID = `${CNI_BIN}/braid`;
/** The API server forgets only then that a token was good. */
const TOKEN_CACHE_MS = 11_000;
/** A round of the controller looks twice, a minute apart, before it takes anything away. */
const ROUND_MS = 240_000;
/** On a machine with far too much to do. */
const PATIENCE_MS = 120_000;

let kubernetes: Kubernetes;
let release: Release;
let before: readonly Readonly<Record<string, string>>[];

beforeAll(async () => {
  kubernetes = await Kubernetes.start({ nodes: 2, isBare: true });
  await prepareNodes(kubernetes);
  before = kubernetes.nodes.map(networkFiles);
  release = new Release(kubernetes);
  await release.install();
  for (const index of [0, 1, 2]) {
    const config = { cniVersion: '1.0.0', ...macvlan(`rail${index}`, `10.7.${index}.0/24`) };
    await applyNetwork(kubernetes, `net-${index}`, config);
  }
});

afterAll(() => kubernetes?.[Symbol.asyncDispose]());

const pod = (name: string, node: string, networks = 'net-0, net-1') => ({
  name,
  node,
  annotations: { [NETWORKS]: networks },
});

const multusOf = (node: Node) => JSON.parse(readFileSync(node.pathHere(CONF_FILE), 'utf8')).plugins[0];

/** Names of the networks that multus runs on a node for every pod. */
const wrappedOn = (node: Node): readonly string[] => multusOf(node).delegates.map(({ name }: { name: string }) => name);

const start = async (...names: readonly [string, string]): Promise<readonly [RunningPod, RunningPod]> => {
  const [one, two] = names;
  await runPods(kubernetes, [pod(one, 'n1'), pod(two, 'n2')]);
  return [await running(kubernetes, one), await running(kubernetes, two)];
};

/** They are where they were, and reach each other. */
async function expectUndisturbed(
  [a, b]: readonly [RunningPod, RunningPod],
  interfaces: readonly string[] = ['eth0', 'net1', 'net2'],
): Promise<void> {
  expect([await running(kubernetes, a.name), await running(kubernetes, b.name)]).toEqual([a, b]);
  for (const ifName of interfaces) {
    await reach(a, b, ifName);
  }
}

/** What the pods of the first release leave: the second one takes its time to free it. */
const LEFT = '10.7.2.';
let leftContainers: readonly string[] = [];

const shortName = (name: string): string =>
  name.replace(/[0-9a-f]{64}/, '<container>').replace(/^(networks\/\w+)\/\d.*/, '$1/<address>');

/** Pools, links, records and sandboxes, but for the records of the release's own pods, which may have moved. */
async function held() {
  const { addresses, marks, nodes, pods } = await everything(kubernetes);
  const sandboxes = await Promise.all(kubernetes.nodes.map((node) => node.cri.sandboxes()));
  const releases = sandboxes.flat().filter(({ pod: name, isReady }) => isReady && name.startsWith('braid-'));
  const others = [...releases.map(({ id }) => id), ...leftContainers, '/.owners']; // the last is host-local's, and stays
  return {
    pods,
    addresses: addresses.filter((line) => !line.startsWith(LEFT)),
    marks: marks.filter((name) => !name.startsWith(LEFT)),
    network: nodes.map(({ network }) => network),
    files: nodes
      .flatMap(({ files }) => files.filter((name) => !others.some((id) => name.includes(id))))
      .map(shortName)
      .sort(),
    sandboxes: nodes.flatMap((node) => node.sandboxes).length,
  };
}

async function leavesAll(work: () => Promise<void>): Promise<void> {
  const was = await held();
  await work();
  await removePods(kubernetes);
  await eventually(held, was, PATIENCE_MS);
}

/** An address of a pod that nobody has ever seen. */
async function leak(podref: string): Promise<void> {
  const allocations = { 77: { id: 'ghost', podref, ifname: 'net1' } };
  const path = `/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/${NAMESPACE}/ippools/10.7.2.0-24`;
  await expectSuccess(
    kubernetes.cluster.send(path, {
      method: 'PATCH',
      body: { spec: { allocations } },
      contentType: 'application/merge-patch+json',
    }),
  );
}

it('uninstalled under running pods: they keep their networks and can be deleted, and nodes are as before', async () => {
  await runPods(kubernetes, [pod('left-a', 'n1', 'net-2'), pod('left-b', 'n2', 'net-2')]);
  const pods = [await running(kubernetes, 'left-a'), await running(kubernetes, 'left-b')] as const;
  leftContainers = pods.map(({ id }) => id);
  await release.uninstall();
  const confs = (files: Readonly<Record<string, string>>) =>
    Object.entries(files).filter(([path]) => path.startsWith(CNI_CONF));
  expect(kubernetes.nodes.map((node) => confs(networkFiles(node)))).toEqual(before.map(confs));
  await expectUndisturbed(pods, ['eth0', 'net1']);
  await runPods(kubernetes, [{ name: 'plain', node: 'n1' }]);
  await reach(await running(kubernetes, 'plain'), pods[1], 'eth0');
  await removePods(kubernetes);
  for (const node of kubernetes.nodes) {
    await eventually(async () => (await node.cri.sandboxes()).filter(({ isReady }) => isReady), [], PATIENCE_MS);
    const own = Object.keys(filesIn(node.pathHere('/var/lib/cni'))).filter((name) =>
      name.startsWith('networks/own/10.'),
    );
    expect(own).toEqual([]);
    // A kubelet keeps sandboxes that have ended for a minute: until then they might need the plugins.
    const uninstalled = await node.execute([BRAID, 'uninstall', '--force']);
    expect(uninstalled, uninstalled.stderr).toMatchObject({ exitCode: 0 });
  }
  expect(kubernetes.nodes.map(networkFiles)).toEqual(before);
  expect(await taken(kubernetes)).toHaveLength(2); // nobody who could give them back is left
  await leak('default/ghost');
  await release.install();
});

it('nodes get multus around their own network, and pods what their annotations ask for', async () => {
  expect(kubernetes.nodes.map(wrappedOn)).toEqual([['own'], ['own']]);
  await leavesAll(async () => {
    const pods = await start('a', 'b');
    await expectUndisturbed(pods);
    const { addresses } = await held();
    expect(addresses).toHaveLength(4);
  });
});

it('upgraded and rolled back under running pods: they stay as they are, and others start and end', async () => {
  await leavesAll(async () => {
    const pods = await start('a', 'b');
    const installers = (await releasePods(kubernetes, 'braid-node')).map(({ metadata }) => metadata.name);
    await release.upgrade(`image.tag=${NEXT}`, 'multus.logLevel=debug', 'multus.logFile=/var/log/multus.log');
    const now = (await releasePods(kubernetes, 'braid-node')).map(({ metadata }) => metadata.name);
    expect(installers.filter((name) => now.includes(name))).toEqual([]);
    for (const node of kubernetes.nodes) {
      expect(multusOf(node)).toMatchObject({ logLevel: 'debug', logFile: '/var/log/multus.log' });
    }
    await expectUndisturbed(pods);
    await runPods(kubernetes, [pod('c', 'n1')]);
    await deletePods(kubernetes, ['a', 'c']);
    await release.rollBack();
    expect(kubernetes.nodes.map((node) => multusOf(node).logLevel)).toEqual([undefined, undefined]);
    await runPods(kubernetes, [pod('d', 'n1')]);
    await reach(await running(kubernetes, 'd'), pods[1], 'net2');
  });
});

it('with an agent in a container, and back, under running pods: it does what pods need', async () => {
  await leavesAll(async () => {
    const pods = await start('a', 'b');
    await release.upgrade('form=resident', 'agent.freesPods=true');
    const agents = await releasePods(kubernetes, 'braid-agent');
    expect(agents.map(({ spec }) => spec.nodeName).sort()).toEqual(['n1', 'n2']);
    await expectUndisturbed(pods);
    await runPods(kubernetes, [pod('c', 'n1'), pod('d', 'n2')]);
    const others = [await running(kubernetes, 'c'), await running(kubernetes, 'd')] as const;
    await expectUndisturbed(others);
    await deletePods(kubernetes, ['a', 'c']);
    for (const [index, name] of ['c', 'd'].entries()) {
      const traced = await kubernetes.nodes[index]?.execute([BRAID, 'trace', `default/${name}`, '--json']);
      expect(traced).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('whereabouts') });
    }
    await release.rollBack();
    await eventually(() => releasePods(kubernetes, 'braid-agent'), [], PATIENCE_MS); // helm does not wait for what goes
    await expectUndisturbed([pods[1], others[1]]);
    await deletePods(kubernetes, ['b', 'd']);
  });
});

it('an upgrade that fails: pods start and end on the node that has no installer any more', async () => {
  await leavesAll(async () => {
    const was = await releasePods(kubernetes, 'braid-node');
    await release.beginUpgrade('image.tag=missing', 'image.pullPolicy=Never');
    const lost = async (): Promise<string | undefined> => {
      const now = await releasePods(kubernetes, 'braid-node');
      const names = now.map(({ metadata }) => metadata.name);
      return was.find(({ metadata }) => !names.includes(metadata.name))?.spec.nodeName;
    };
    const node = await until('a node to have no installer', lost, ROUND_MS);
    await sleep(TOKEN_CACHE_MS);
    const [started] = await runPods(kubernetes, [pod('a', node)]);
    expect(started && networkStatusOf(started)).toHaveLength(3);
    await removePods(kubernetes);
    await release.rollBack();
    await runPods(kubernetes, [pod('b', node)]);
  });
});

it("another network's configuration comes first, and goes: pods of before and of meanwhile live and end", async () => {
  await leavesAll(async () => {
    const node = kubernetes.node('n1');
    const pods = await start('a', 'b');
    const other = `${CNI_CONF}/05-other.conflist`;
    await node.write(`${CNI_CONF}/99-last.conflist`, JSON.stringify(ownNetwork(1, { name: 'last' })));
    await node.write(other, JSON.stringify(ownNetwork(1, { name: 'other' })));
    await eventually(async () => wrappedOn(node), ['other'], PATIENCE_MS);
    await expectUndisturbed(pods);
    const [meanwhile] = await runPods(kubernetes, [pod('c', 'n1')]);
    expect(meanwhile && networkStatusOf(meanwhile)[0]).toMatchObject({ name: 'other' });
    await deletePods(kubernetes, ['a']);
    await until('the pod to be gone', async () =>
      (await node.cri.sandboxes()).some((one) => one.pod === 'a' && one.isReady) ? undefined : true,
    );
    rmSync(node.pathHere(other));
    await eventually(async () => wrappedOn(node), ['own'], PATIENCE_MS);
    const [after] = await runPods(kubernetes, [pod('d', 'n1')]);
    expect(after && networkStatusOf(after)[0]).toMatchObject({ name: 'own' });
    await removePods(kubernetes);
    const kept = Object.keys(filesIn(node.pathHere('/var/lib/cni/networks')));
    expect(kept.filter((name) => /^(own|other)\/10\.244\.1\.\d+$/.test(name))).toHaveLength(1); // of the controller
    for (const name of ['/var/lib/cni/networks/other', `${CNI_CONF}/99-last.conflist`]) {
      rmSync(node.pathHere(name), { recursive: true });
    }
  });
});

it('the controller leads, answers, and frees what nobody uses, now and what was left before it came', async () => {
  await leavesAll(async () => {
    const pods = await releasePods(kubernetes, 'braid-controller');
    const { spec } = await expectSuccess<{ readonly spec: { readonly holderIdentity: string } }>(
      kubernetes.cluster.send(`/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/braid-controller`),
    );
    const leader = pods.find(({ metadata }) => spec.holderIdentity.startsWith(`${metadata.name}_`)) ?? expect.fail();
    for (const { metadata } of pods) {
      expect(await ask(kubernetes, metadata.name, HTTP, '/healthz')).toBe('ok\n');
      const standing = await ask(kubernetes, metadata.name, HTTP, '/readyz');
      expect(standing).toMatch(metadata === leader.metadata ? /lead/ : /stand/);
    }
    const node = kubernetes.node('n1');
    await runPods(kubernetes, [pod('lost', 'n1')]);
    await node.stop('kubelet');
    await deletePods(kubernetes, ['lost'], { force: true });
    await eventually(async () => (await held()).addresses, [], PATIENCE_MS); // no DEL has been called
    await node.start('kubelet');
    await until(
      'what was left to be free',
      async () => ((await taken(kubernetes)).length === 0 ? true : undefined),
      ROUND_MS,
    );
    await eventually(() => reserved(kubernetes), [], PATIENCE_MS);
    const metrics = await ask(kubernetes, leader.metadata.name, HTTP, '/metrics');
    expect(metrics).toContain('braid_controller_leader 1\n');
    expect(metrics).toContain('whereabouts_pod_addresses_freed_total 2\n');
    await until(
      'the pod to have ended',
      async () => ((await node.cri.sandboxes()).some((one) => one.pod === 'lost' && one.isReady) ? undefined : true),
      ROUND_MS,
    );
  });
});

it('uninstalled: nodes are as before to the byte', async () => {
  const left = (): readonly string[] =>
    kubernetes.nodes.flatMap((node) =>
      Object.keys(filesIn(node.pathHere('/var/lib/cni'))).filter((name) =>
        leftContainers.some((id) => name.includes(id)),
      ),
    );
  await release.uninstall();
  expect(left()).toEqual([]); // of pods that ended between the two releases, unless a runtime had them deleted again since
  expect(kubernetes.nodes.map(networkFiles)).toEqual(before);
  expect(before[0]).toHaveProperty([`${CNI_CONF}/${OWN_CONF}`]);
  await runPods(kubernetes, [pod('a', 'n1'), pod('b', 'n2')]); // whose annotations nobody looks at
  await reach(await running(kubernetes, 'a'), await running(kubernetes, 'b'), 'eth0');
});
