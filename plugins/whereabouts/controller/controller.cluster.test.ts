/** The parts of the controller against a real API server, with the rights of the manifests and no others. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { applyController, applyCrds, applyNads, type Variant } from '../../../conformance/cluster/manifests.ts';
import { createNamespace, createPod, deletePod, serviceAccountToken } from '../../../conformance/cluster/objects.ts';
import { expectSuccess, senderTo } from '../../../conformance/cluster/request.ts';
import { eventRecorder } from '../../../lib/controller/events.ts';
import type { PartHost } from '../../../lib/controller/part.ts';
import { readKubeconfig } from '../../../lib/kube/kubeconfig.ts';
import { openWatchClient, type WatchApi, type WatchClient } from '../../../lib/kube/watch.ts';
import { makeMetrics } from '../../../lib/observe/metrics.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { NETWORK_STATUS } from '../sweep/network-status.ts';
import { ClusterNode } from '../testing/cluster-node.ts';
import { followPods, type PodLoopOptions } from './pods.ts';
import { type Report, runRound } from './round.ts';
import { assignSlices } from './slices.ts';

const API = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system';
const NADS = '/apis/k8s.cni.cncf.io/v1/namespaces/kube-system/network-attachment-definitions';
const DONE: Report = { freed: 0, removed: 0, protected: 0, claimed: 0, contested: 0, failures: 0 };

let cluster: Cluster;
let token: string;
let client: WatchClient;
let node: ClusterNode;
const running: (() => Promise<void>)[] = [];

async function begin(variant: Variant): Promise<void> {
  cluster = await startCluster();
  await Promise.all([
    applyCrds(cluster, variant),
    applyNads(cluster),
    applyController(cluster),
    createNamespace(cluster, 'lab'),
  ]);
  await untilServed();
  token = await serviceAccountToken(cluster, 'braid-controller');
  const kubeconfig = cluster.kubeconfig('controller', { token, namespace: 'kube-system' });
  client = await openWatchClient(() => readKubeconfig(kubeconfig), { namespace: 'kube-system', connections: 16 });
  node = new ClusterNode(cluster.kubeconfig('admin'));
  await node.add(['lab/warm net1 warm'], '10.250.0.0/24');
  await node.del(['lab/warm net1 warm'], '10.250.0.0/24');
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((stop) => stop()));
  const { items } = await expectSuccess<Listed>(cluster.send(NADS));
  await Promise.all(items.map(({ metadata }) => cluster.send(`${NADS}/${metadata.name}`, { method: 'DELETE' })));
  const pods = await expectSuccess<Listed>(cluster.send('/api/v1/namespaces/lab/pods'));
  await Promise.all(pods.items.map(({ metadata }) => deletePod(cluster, { name: metadata.name, namespace: 'lab' })));
  for (const kind of ['ippools', 'overlappingrangeipreservations', 'nodeslicepools']) {
    const all = await expectSuccess<Listed>(cluster.send(`${API}/${kind}`));
    await Promise.all(
      all.items.map(({ metadata }) => cluster.send(`${API}/${kind}/${metadata.name}`, { method: 'DELETE' })),
    );
  }
});

async function end(): Promise<void> {
  node?.[Symbol.dispose]();
  client?.[Symbol.dispose]();
  await cluster?.[Symbol.asyncDispose]();
}

/** A server that has just learned of a kind, or was just started, has it a moment later. */
async function untilServed(): Promise<void> {
  const paths = [
    NADS,
    ...['ippools', 'overlappingrangeipreservations', 'nodeslicepools'].map((kind) => `${API}/${kind}`),
  ];
  await until(async () => {
    const answers = await Promise.all(paths.map((path) => cluster.send(path)));
    return answers.every(({ status }) => status === 200);
  });
}

interface Listed {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}
interface Pool {
  readonly spec: { readonly allocations: Readonly<Record<string, object>> };
}

function host(signal: AbortSignal): PartHost {
  const api = client.api(signal);
  const log = (line: string) => void lines.push(line);
  return {
    api,
    signal,
    log,
    events: eventRecorder(client.api(), 'test', log),
    metrics: makeMetrics(),
    options: {},
    ...clockOf(signal),
  };
}
const lines: string[] = [];

function start(part: (of: PartHost) => Promise<void>): () => Promise<void> {
  const stopping = new AbortController();
  const ended = part(host(stopping.signal));
  const stop = async (): Promise<void> => {
    stopping.abort(new Error('over'));
    await ended;
  };
  running.push(stop);
  return stop;
}

/** Starts the pod loop, which has lists and watches by then: it misses no change any more. */
async function follow(options: PodLoopOptions): Promise<void> {
  const watched = new Set<string>();
  start((of) => {
    const watch: WatchApi['watch'] = (path, ...rest) => {
      watched.add(path.resource.plural);
      return of.api.watch(path, ...rest);
    };
    return followPods({ ...of, api: { ...of.api, watch } }, options);
  });
  await until(async () => watched.size === 2);
}

function round(graceMs = 0): Promise<Report> {
  const { signal } = new AbortController();
  return runRound({
    ...host(signal),
    graceMs,
    pauseMs: 100,
    isEndEnough: false,
    flatFiles: [],
    nowMs: Date.now,
    looked: () => undefined,
  });
}

async function nad(ipam: object, name = 'storage'): Promise<void> {
  const config = JSON.stringify({ name: 'n', type: 'macvlan', ipam: { type: 'whereabouts', ...ipam } });
  const kind = { apiVersion: 'k8s.cni.cncf.io/v1', kind: 'NetworkAttachmentDefinition' };
  await expectSuccess(cluster.send(NADS, { method: 'POST', body: { ...kind, metadata: { name }, spec: { config } } }));
}

const pod = (name: string, ...ips: readonly string[]): Promise<string> =>
  createPod(cluster, {
    name,
    namespace: 'lab',
    node: 'w-1',
    annotations: { [NETWORK_STATUS]: JSON.stringify([{ name: 'kube-system/storage', interface: 'net1', ips }]) },
    status: { phase: 'Running' },
  });

async function pool(name: string, range: string, entries: Readonly<Record<string, string>>): Promise<void> {
  const allocations = Object.fromEntries(
    Object.entries(entries).map(([key, podref]) => [key, { id: `id-${podref}`, podref, ifname: 'net1' }]),
  );
  const kind = { apiVersion: 'whereabouts.cni.cncf.io/v1alpha1', kind: 'IPPool' };
  const body = { ...kind, metadata: { name }, spec: { range, allocations } };
  await expectSuccess(cluster.send(`${API}/ippools`, { method: 'POST', body }));
}

async function reservation(name: string, podref: string): Promise<void> {
  const kind = { apiVersion: 'whereabouts.cni.cncf.io/v1alpha1', kind: 'OverlappingRangeIPReservation' };
  const body = { ...kind, metadata: { name }, spec: { podref, ifname: 'net1', containerid: 'c' } };
  await expectSuccess(cluster.send(`${API}/overlappingrangeipreservations`, { method: 'POST', body }));
}

async function keys(name: string): Promise<readonly string[]> {
  return Object.keys((await expectSuccess<Pool>(cluster.send(`${API}/ippools/${name}`))).spec.allocations);
}

async function namesOf(kind: string): Promise<readonly string[]> {
  const { items } = await expectSuccess<Listed>(cluster.send(`${API}/${kind}`));
  return items.map(({ metadata }) => metadata.name).sort();
}
const reserved = () => namesOf('overlappingrangeipreservations');

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function eventsOf(name: string): Promise<readonly string[]> {
  const { items } = await expectSuccess<{ items: { reason: string; involvedObject: { name: string } }[] }>(
    cluster.send('/api/v1/namespaces/lab/events'),
  );
  return items.filter(({ involvedObject }) => involvedObject.name === name).map(({ reason }) => reason);
}

describe.each<Variant>(['ours', 'old'])('with CRDs of kind %s', (variant) => {
  beforeAll(() => begin(variant));
  afterAll(end);

  describe('the reconciler in a real cluster', () => {
    it('frees what pods had that are gone, and nothing else', async () => {
      await nad({ range: '10.1.0.0/24', network_name: 'blue' });
      await pod('a', '10.1.0.5', 'fd01::0005');
      await createPod(cluster, { name: 'mute', namespace: 'lab' });
      await pool('blue-10.1.0.0-24', '10.1.0.0/24', { 5: 'lab/a', 6: 'lab/gone', 7: 'lab/mute', 8: 'lab/a' });
      await pool('blue-fd01---64', 'fd01::/64', { 0: 'lab/gone', 5: 'lab/a' });
      for (const name of ['blue-10.1.0.5', 'blue-10.1.0.7', 'blue-fd01--5']) {
        await reservation(name, name === 'blue-10.1.0.7' ? 'lab/mute' : 'lab/a');
      }
      await reservation('blue-10.1.0.6', 'lab/gone');
      await reservation('blue-10.1.0.9', 'lab/gone');
      await reservation('blue-fd01--0', 'lab/gone');
      expect(await round()).toEqual({ ...DONE, freed: 3, removed: 3 });
      expect([await keys('blue-10.1.0.0-24'), await keys('blue-fd01---64')]).toEqual([['5', '7'], ['5']]);
      expect(await reserved()).toEqual(['blue-10.1.0.5', 'blue-10.1.0.7', 'blue-fd01--5']);
      expect(await round()).toEqual(DONE);
    });

    it('makes missing reservations, claims what running pods have, and resolves wedges', async () => {
      await nad({ range: '10.2.0.0/24' });
      await pod('a', '10.2.0.5');
      await pod('b', '10.2.0.6');
      await pod('c', '10.2.0.7');
      await pool('10.2.0.0-24', '10.2.0.0/24', { 5: 'lab/a', 6: 'lab/b' });
      await reservation('10.2.0.6', 'lab/a'); // who is in the way of b
      expect(await round()).toEqual({ ...DONE, removed: 1, protected: 2, claimed: 1 });
      expect(await keys('10.2.0.0-24')).toEqual(['5', '6', '7']);
      expect(await reserved()).toEqual(['10.2.0.5', '10.2.0.6', '10.2.0.7']);
      expect(await round()).toEqual(DONE);
    });

    it('gives the address that it claimed for a pod to the next ADD of that pod', async () => {
      await nad({ range: '10.3.0.0/24' });
      await pod('a', '10.3.0.9');
      expect(await round()).toMatchObject({ claimed: 1 });
      // old kinds drop the interface, by which the plugin would know it again: the address stays taken
      const isKnown = variant === 'ours';
      const given = await node.add(['lab/a net1 next'], '10.3.0.0/24');
      expect(given).toEqual([isKnown ? '10.3.0.9' : '10.3.0.1']);
      await node.del(['lab/a net1 next'], '10.3.0.0/24');
      expect([await keys('10.3.0.0-24'), await reserved()]).toEqual(isKnown ? [[], []] : [['9'], ['10.3.0.9']]);
    });

    it('frees nothing of pods that are being attached in a storm beside it', async () => {
      const pods = Array.from({ length: 12 }, (_, index) => `s${index}`);
      for (const name of pods) {
        await createPod(cluster, { name, namespace: 'lab' });
      }
      const who = pods.flatMap((name) => Array.from({ length: 8 }, (_, at) => `lab/${name} net${at} id-${name}`));
      let isOver = false;
      const rounds = (async () => {
        const reports: Report[] = [];
        while (!isOver) {
          reports.push(await round(300_000));
        }
        return reports;
      })();
      const given = await Promise.all(
        pods.map((name) =>
          node.add(
            who.filter((one) => one.startsWith(`lab/${name} `)),
            '10.4.0.0/24',
          ),
        ),
      );
      isOver = true;
      const reports = await rounds;
      expect(reports.filter((report) => JSON.stringify(report) !== JSON.stringify(DONE))).toEqual([]);
      expect(new Set(given.flat()).size).toBe(who.length);
      expect([(await keys('10.4.0.0-24')).length, (await reserved()).length]).toEqual([who.length, who.length]);
    });

    it('frees a pool of thousands', async () => {
      const entries = Object.fromEntries(
        Array.from({ length: 5000 }, (_, index) => [index + 1, `lab/gone-${index % 50}`]),
      );
      await pool('10.8.0.0-16', '10.8.0.0/16', entries);
      expect(await round()).toEqual({ ...DONE, freed: 5000 });
      expect(await keys('10.8.0.0-16')).toEqual([]);
    });
  });

  describe('the pod loop in a real cluster', () => {
    it('frees what deleted pods had, leaves successors alone, and tells of it', async () => {
      await nad({ range: '10.5.0.0/24' });
      await pod('db-0', '10.5.0.5');
      await pod('web', '10.5.0.6');
      await pool('10.5.0.0-24', '10.5.0.0/24', { 5: 'lab/db-0', 6: 'lab/web' });
      await reservation('10.5.0.5', 'lab/db-0');
      await reservation('10.5.0.6', 'lab/web');
      await follow({ settleMs: 500, missedMs: 100 });
      await deletePod(cluster, { name: 'db-0', namespace: 'lab' });
      await createPod(cluster, { name: 'db-0', namespace: 'lab' }); // a StatefulSet's next one
      await deletePod(cluster, { name: 'web', namespace: 'lab' });
      await until(async () => (await eventsOf('web')).length > 0);
      expect([await keys('10.5.0.0-24'), await reserved()]).toEqual([['5'], ['10.5.0.5']]);
      expect([await eventsOf('web'), await eventsOf('db-0')]).toEqual([['IPAddressGarbageCollected'], []]);
    });

    it('frees what pods had that went while it was away, and while the API server was', async () => {
      await nad({ range: '10.6.0.0/24' });
      await pod('late', '10.6.0.7');
      await pool('10.6.0.0-24', '10.6.0.0/24', { 6: 'lab/before', 7: 'lab/late' });
      start((of) => followPods(of, { settleMs: 100, missedMs: 100 }));
      await until(async () => !(await keys('10.6.0.0-24')).includes('6'));
      await cluster.restart('kill');
      await untilServed();
      await deletePod(cluster, { name: 'late', namespace: 'lab' });
      await until(async () => (await keys('10.6.0.0-24')).length === 0);
    });

    it('warns when the network of a pod is gone, and keeps the address', async () => {
      await pod('orphan', '10.7.0.5');
      await pool('10.7.0.0-24', '10.7.0.0/24', { 5: 'lab/orphan' });
      await follow({ settleMs: 100, missedMs: 60_000 });
      await deletePod(cluster, { name: 'orphan', namespace: 'lab' });
      await until(async () => (await eventsOf('orphan')).length > 0);
      expect([await eventsOf('orphan'), await keys('10.7.0.0-24')]).toEqual([
        ['IPAddressGarbageCollectionFailed'],
        ['5'],
      ]);
    });
  });

  describe('the controller of slices in a real cluster', () => {
    const makeNode = (name: string) =>
      expectSuccess(cluster.send('/api/v1/nodes', { method: 'POST', body: { metadata: { name } } }));
    const slices = async (name: string): Promise<string> => {
      const { status, body } = await cluster.send(`${API}/nodeslicepools/${name}`);
      const object = body as { status?: { allocations: { nodeName: string; sliceRange: string }[] } };
      return status === 404
        ? 'none'
        : (object.status?.allocations ?? []).map(({ nodeName, sliceRange }) => `${nodeName}=${sliceRange}`).join(' ');
    };

    it('gives nodes their slices of IPv4 and IPv6 ranges, keeps those that are live, and deletes what nobody wants', async () => {
      await makeNode('w-1');
      await makeNode('w-2');
      await nad(
        { network_name: 'sl', node_slice_size: '/26', ipRanges: [{ range: '10.9.0.0/25' }, { range: 'fd09::/120' }] },
        'sl',
      );
      start((of) => assignSlices(of, { settleMs: 100, resyncMs: 500 }));
      await until(
        async () => (await slices('sl-fd09---120')) === 'w-1=fd09::/122 w-2=fd09::40/122 =fd09::80/122 =fd09::c0/122',
      );
      expect(await slices('sl')).toBe('w-1=10.9.0.0/26 w-2=10.9.0.64/26');
      await pool('sl-w-1-10.9.0.0-26', '10.9.0.0/26', { 1: 'lab/a' });
      await cluster.send('/api/v1/nodes/w-1', { method: 'DELETE' });
      await makeNode('w-3');
      await until(async () => (await slices('sl-fd09---120')).startsWith('w-3=fd09::/122'));
      expect(await slices('sl')).toBe('w-2=10.9.0.64/26 w-1=10.9.0.0/26');
      await cluster.send(`${API}/ippools/sl-w-1-10.9.0.0-26`, { method: 'DELETE' });
      await until(async () => (await slices('sl')) === 'w-3=10.9.0.0/26 w-2=10.9.0.64/26');
      await cluster.send(`${NADS}/sl`, { method: 'DELETE' });
      await until(async () => (await slices('sl')) === 'none');
    });
  });

  describe('the service account of the manifests', () => {
    it.each([
      ['DELETE', '/api/v1/namespaces/lab/pods/a'],
      ['GET', '/api/v1/secrets'],
      ['DELETE', `${API}/ippools/a`],
      ['GET', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/whereabouts'],
      ['GET', '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/lab/ippools'],
    ] as const)('may not %s %s', async (method, path) => {
      using send = senderTo({ ...cluster, token });
      expect((await send(path, { method })).status).toBe(403);
    });
  });
});
