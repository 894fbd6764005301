/**
 * Addresses of a cluster, from a real API server over etcd on the same machine. Nodes are simulated: each has a journal
 * and a queue of its own. Every call is a process. What is checked, and by requests that share nothing with the client
 * under test: nothing doubled, nothing lost, and nothing left.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { applyCrds, applyRbac } from '../cluster/manifests.ts';
import { serviceAccountToken } from '../cluster/objects.ts';
import { expectSuccess } from '../cluster/request.ts';
import { installWhereabouts } from '../peers/peers.ts';
import type { Bench } from './bench.ts';
import { type Conf, multus } from './confs.ts';
import { type PluginCall, timeCall, timeQueues } from './program.ts';
import type { Sample, Subject, Tools } from './subjects.ts';

const NODES = 8;
const CALLERS = 16;
const NAMESPACE = 'kube-system';
const API = `/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/${NAMESPACE}`;

interface Storm {
  readonly pods: number;
  readonly networks: number;
}

interface Place {
  readonly cluster: Cluster;
  readonly kubeconfig: string;
  readonly tools: Tools;
}

async function openPlace(tools: Tools): Promise<Place> {
  const cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  return { cluster, kubeconfig: cluster.kubeconfig('bench', { token, namespace: NAMESPACE }), tools };
}

let ranges = 0;
/** Each round has a pool of its own. */
const newRange = (): string => `10.${64 + ranges++}.0.0/16`;

const ipamOf = (place: Place, range: string, node: number): Conf => {
  const folder = join(place.tools.lab.folder, `node${node}`);
  mkdirSync(folder, { recursive: true });
  const flatFile = join(folder, 'whereabouts.conf'); // the Go plugin does not do without
  writeFileSync(flatFile, JSON.stringify({ datastore: 'kubernetes', kubernetes: { kubeconfig: place.kubeconfig } }));
  return { type: 'whereabouts', range, data_dir: folder, configuration_path: flatFile };
};

/** All networks of a pod in one call. */
function ourCalls(place: Place, range: string, pod: string, node: number, networks: number): readonly PluginCall[] {
  const { ours, lab } = place.tools;
  const ipam = ipamOf(place, range, node);
  const delegates = Array.from({ length: networks }, (_, index) => networkOf(index, ipam));
  const conf = multus(delegates, ours, join(lab.folder, `multus${node}`));
  return [{ ...podCall(pod), program: join(ours, 'multus'), conf, path: ours, ifName: 'eth0' }];
}

const SLICE = 23;
const slicedName = (range: string): string => `sliced-${range.split('.')[1]}`;

/** The same where each node has a slice of the range. */
const slicedCalls: typeof ourCalls = (place, range, pod, node, networks) =>
  ourCalls(place, range, pod, node, networks).map((call) => {
    const { delegates = [], ...conf } = call.conf as { delegates?: readonly Conf[] };
    const sliced = delegates.map(({ ipam, ...rest }) => ({
      ...rest,
      ipam: { ...(ipam as Conf), network_name: slicedName(range), node_slice_size: `/${SLICE}` },
    }));
    return { ...call, conf: { ...conf, delegates: sliced }, env: { NODENAME: `node${node}` } };
  });

/** As the controller cuts them. */
async function cutSlices({ cluster }: Place, range: string): Promise<void> {
  const [first = '', second = ''] = range.split('.');
  const allocations = Array.from({ length: NODES }, (_, node) => ({
    nodeName: `node${node}`,
    sliceRange: `${first}.${second}.${node * 2}.0/${SLICE}`,
  }));
  const body = {
    apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
    kind: 'NodeSlicePool',
    metadata: { name: slicedName(range), namespace: NAMESPACE },
    spec: { range, sliceSize: `/${SLICE}` },
    status: { allocations },
  };
  await expectSuccess(cluster.send(`${API}/nodeslicepools`, { method: 'POST', body }));
}

/** One call for each network, as the Go multus makes them. */
function goCalls(place: Place, range: string, pod: string, node: number, networks: number): readonly PluginCall[] {
  const folder = installWhereabouts();
  const ipam = ipamOf(place, range, node);
  return Array.from({ length: networks }, (_, index) => {
    const program = join(folder, 'whereabouts');
    return { ...podCall(pod), program, conf: networkOf(index, ipam), path: folder, ifName: `net${index}` };
  });
}

const networkOf = (index: number, ipam: Conf): Conf => ({
  cniVersion: '1.0.0',
  name: `rail${index}`,
  type: 'whereabouts',
  ipam,
});

const podCall = (pod: string) => ({
  verb: 'ADD' as const,
  pod,
  args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=${pod}`,
});

/** Pods by callers that each start one after another, two to a node; then all of them go. */
const storm =
  (place: Place, callsOf: typeof ourCalls, { pods, networks }: Storm): Subject =>
  async () => {
    const range = newRange();
    if (callsOf === slicedCalls) {
      await cutSlices(place, range);
    }
    const names = place.tools.lab.newPods(pods);
    const queues = Array.from({ length: CALLERS }, (_, caller) =>
      names
        .filter((_, index) => index % CALLERS === caller)
        .flatMap((name) => callsOf(place, range, name, caller % NODES, networks)),
    );
    const added = await timeQueues(queues);
    await expectHeld(place, range, pods * networks);
    const removed = await timeQueues(queues.map((queue) => queue.map((call) => ({ ...call, verb: 'DEL' }))));
    await expectHeld(place, range, 0);
    return { add: added.ms, slowest: added.slowestMs, del: removed.ms, slowestDel: removed.slowestMs };
  };

interface Pool {
  readonly spec: {
    readonly range: string;
    readonly allocations?: Readonly<Record<string, { podref: string; ifname: string }>>;
  };
}

interface Reservations {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

async function expectHeld({ cluster }: Place, range: string, wanted: number): Promise<void> {
  const pools = await expectSuccess<{ readonly items: readonly Pool[] }>(cluster.send(`${API}/ippools`));
  const own = pools.items.filter(({ spec }) => spec.range.startsWith(`${range.split('.').slice(0, 2).join('.')}.`));
  const entries = own.flatMap(({ spec }) => Object.values(spec.allocations ?? {}));
  const owners = new Set(entries.map(({ podref, ifname }) => `${podref} ${ifname}`));
  const { items } = await expectSuccess<Reservations>(cluster.send(`${API}/overlappingrangeipreservations`));
  const net = range.split('.').slice(0, 2).join('.');
  const reserved = items.filter(({ metadata }) => metadata.name.replace(/^sliced-\d+-/, '').startsWith(`${net}.`));
  if (entries.length !== wanted || owners.size !== wanted || reserved.length !== wanted) {
    throw new Error(
      `${range}: ${entries.length} entries of ${owners.size} owners and ${reserved.length} reservations, not ${wanted}`,
    );
  }
}

const line = (ours: string, figure: string, title: string) =>
  ({ title, ours: [ours, figure], how: 'value', unit: 'ms' }) as const;

export async function clusterStorm(tools: Tools, { pods, networks }: Storm, targetMs: number): Promise<Bench> {
  const place = await openPlace(tools);
  return {
    name: `cluster-${pods}x${networks}`,
    about: `${pods} pods with ${networks} networks each in one range of a cluster: ${CALLERS} callers on ${NODES} nodes`,
    subjects: { braid: storm(place, ourCalls, { pods, networks }) },
    lines: [
      { ...line('braid', 'add', 'ADD until the last is done'), target: targetMs },
      line('braid', 'slowest', 'slowest ADD of a pod'),
      line('braid', 'del', 'DEL until the last is done'),
      line('braid', 'slowestDel', 'slowest DEL of a pod'),
    ],
    warmUp: 0,
    part: 0.1,
    close: async () => place.cluster[Symbol.asyncDispose](),
  };
}

/** The same where each node has a slice of the range, and so a pool of its own. */
export async function clusterSlices(tools: Tools, { pods, networks }: Storm, targetMs: number): Promise<Bench> {
  const place = await openPlace(tools);
  return {
    name: 'cluster-slices',
    about: `the same with a slice of the range for each node`,
    subjects: { braid: storm(place, slicedCalls, { pods, networks }) },
    lines: [
      { ...line('braid', 'add', 'ADD until the last is done'), target: targetMs },
      line('braid', 'slowest', 'slowest ADD of a pod'),
      line('braid', 'del', 'DEL until the last is done'),
    ],
    warmUp: 0,
    part: 0.1,
    close: async () => place.cluster[Symbol.asyncDispose](),
  };
}

/** The same where a process on each node serves all of its pods, as an agent does. */
export async function clusterWarm(tools: Tools, { pods, networks }: Storm, targetMs: number): Promise<Bench> {
  const place = await openPlace(tools);
  const { warmStorm } = await import('./warm-storm.ts');
  const held = (range: string, wanted: number): Promise<void> => expectHeld(place, range, wanted);
  const warm = warmStorm(place.kubeconfig, newRange, held, { nodes: NODES, pods, networks });
  const requests = (figure: string, title: string) => ({ ...line('warm', figure, title), unit: 'requests' }) as const;
  return {
    name: `cluster-warm-${pods}x${networks}`,
    about: `addresses of ${pods} pods with ${networks} networks each, all at once, by a process on each of ${NODES} nodes`,
    subjects: { warm },
    lines: [
      { ...line('warm', 'add', 'ADD until the last is done'), target: targetMs },
      line('warm', 'del', 'DEL until the last is done'),
      { ...requests('addRequests', 'requests for an address, ADD'), target: 1.2 },
      requests('delRequests', 'requests for an address, DEL'),
    ],
    warmUp: 0,
    part: 0.1,
    close: async () => {
      warm.close();
      await place.cluster[Symbol.asyncDispose]();
    },
  };
}

/** The Go plugin takes minutes for what ours does in seconds, so it gets less to do. */
export async function clusterPeer(tools: Tools, size: Storm): Promise<Bench> {
  const place = await openPlace(tools);
  const pair = (figure: string) =>
    ({ ours: ['braid', figure], peer: ['go', figure], how: 'ratio', unit: 'ms' }) as const;
  return {
    name: 'cluster-peer',
    about: `${size.pods} pods with ${size.networks} networks each in one range of a cluster ÷ the Go whereabouts`,
    subjects: { braid: storm(place, ourCalls, size), go: storm(place, goCalls, size) },
    lines: [
      { ...pair('add'), title: 'ADD until the last is done ÷ Go' },
      { ...pair('slowest'), title: 'slowest ADD of a call ÷ Go' },
      { ...pair('del'), title: 'DEL until the last is done ÷ Go' },
    ],
    warmUp: 0,
    part: 0.1,
    close: async () => place.cluster[Symbol.asyncDispose](),
  };
}

/** One address of a pool in which others hold so many. */
const oneAddress =
  (place: Place, range: string): Subject =>
  (): Sample => {
    const call = singleCall(place, range);
    const added = timeCall(call);
    return { add: added.ms, del: timeCall({ ...call, verb: 'DEL' }).ms };
  };

function singleCall(place: Place, range: string): PluginCall {
  const { ours, lab } = place.tools;
  const conf = networkOf(0, ipamOf(place, range, 0));
  return { ...podCall(lab.newPod()), program: join(ours, 'whereabouts'), conf, path: ours, ifName: 'net0' };
}

export async function clusterHeld(tools: Tools, held: number): Promise<Bench> {
  const place = await openPlace(tools);
  const full = newRange();
  await fill(place, full, held);
  const { ownWork } = await import('./warm-cluster.ts');
  const own = ownWork(place.kubeconfig, full);
  const lines = (['add', 'del'] as const).map((verb) => ({
    title: `${verb.toUpperCase()}, ${held} ÷ 0 held`,
    ours: ['full', verb] as const,
    peer: ['empty', verb] as const,
    how: 'ratio' as const,
    unit: 'ms' as const,
  }));
  return {
    name: 'cluster-held',
    about: `one address of a pool of ${held} entries ÷ of an empty one, whole processes`,
    subjects: { full: oneAddress(place, full), empty: oneAddress(place, newRange()), own },
    lines: [
      ...lines,
      { ...line('own', 'add', `of ADD with ${held} held: processor time of ours, started before`), target: 20 },
      line('own', 'del', `of DEL with ${held} held: processor time of ours, started before`),
    ],
    warmUp: 10, // until what our own process does is compiled
    close: async () => {
      own.close();
      await place.cluster[Symbol.asyncDispose]();
    },
  };
}

/** Entries of others, without reservations. */
async function fill({ cluster }: Place, range: string, count: number): Promise<void> {
  const entries = Array.from({ length: count }, (_, index) => [
    String(index + 1),
    { id: `container-${index}`, podref: `bench/pod-${index}`, ifname: 'net0' },
  ]);
  const body = {
    apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
    kind: 'IPPool',
    metadata: { name: range.replace('/', '-'), namespace: NAMESPACE },
    spec: { range, allocations: Object.fromEntries(entries) },
  };
  await expectSuccess(cluster.send(`${API}/ippools`, { method: 'POST', body }));
}
