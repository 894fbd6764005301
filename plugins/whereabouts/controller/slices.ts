import { messageOf } from '../../../lib/cni/errors.ts';
import type { KubeEvent } from '../../../lib/controller/events.ts';
import { Informer } from '../../../lib/controller/informer.ts';
import type { PartHost } from '../../../lib/controller/part.ts';
import { quietly, repeat } from '../../../lib/controller/repeat.ts';
import type { CollectionPath, KubeObject } from '../../../lib/kube/api.ts';
import { formatCidr } from '../../../lib/net/cidr.ts';
import type { NodeSlicePool } from '../cluster/objects.ts';
import type { StoredPool } from '../cluster/stored-pool.ts';
import { FLAT_FILES } from '../flat-file.ts';
import { ALL_NADS, type NadObject, networksOf } from '../sweep/networks.ts';
import { type Allocation, planSlices, type SlicePlan } from '../sweep/slice-plan.ts';
import { liveSlices, type WantedSlices, wantedSlices } from '../sweep/slice-pools.ts';
import { readPools } from './look.ts';
import { dropSlicePool, type Owner, slicePoolsIn, writeSlicePool } from './slice-writing.ts';

const NODES: CollectionPath = { resource: { group: '', version: 'v1', plural: 'nodes' }, namespace: undefined };

/** Changes come in heaps. */
const SETTLE_MS = 1_000;
/** Slices that wait for their last addresses are looked at again. */
const RESYNC_MS = 300_000;

export interface SliceLoopOptions {
  readonly settleMs?: number;
  readonly resyncMs?: number;
  readonly flatFiles?: readonly string[];
}

interface Nad {
  readonly object: NadObject;
  readonly uid: string;
}

/** Gives each node its slice of each range that is cut into slices, as nodes and networks come and go. */
export async function assignSlices(host: PartHost, options: SliceLoopOptions = {}): Promise<void> {
  const { settleMs = SETTLE_MS, resyncMs = RESYNC_MS, flatFiles = FLAT_FILES } = options;
  const { api, signal } = host;
  let isDue = true;
  const due = (): void => {
    isDue = true;
  };
  const nodes = new Informer<KubeObject, string>(
    { path: NODES, selection: { isMetadataOnly: true }, keep: ({ metadata }) => metadata.name },
    ({ before }) => {
      isDue ||= before === undefined; // nodes say every few minutes that they are there
    },
  );
  const nads = new Informer<NadObject, Nad>(
    { path: ALL_NADS, keep: (object) => ({ object, uid: object.metadata.uid ?? '' }) },
    due,
  );
  const slicePools = new Informer<NodeSlicePool, NodeSlicePool>(
    { path: slicePoolsIn(api.namespace), keep: (object) => object },
    due,
  );
  const metrics = metricsOf(host);
  const work = async (): Promise<void> => {
    const synced = Promise.all([nodes, nads, slicePools].map((one) => one.synced));
    const ended = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await quietly(Promise.race([synced, ended]), signal);
    let lastMs = Number.NEGATIVE_INFINITY;
    await repeat(host, 'cannot assign slices', async () => {
      if (!isDue && host.now() - lastMs < resyncMs) {
        return settleMs;
      }
      isDue = false;
      lastMs = host.now();
      try {
        const state = { nodes: [...nodes.values()], nads: [...nads.values()], slicePools: [...slicePools.values()] };
        await assign(host, state, flatFiles, metrics);
      } catch (error) {
        isDue = true;
        metrics.failed();
        throw error;
      }
      return settleMs;
    });
  };
  await Promise.all([nodes.run(api, host), nads.run(api, host), slicePools.run(api, host), work()]);
}

interface State {
  readonly nodes: readonly string[];
  readonly nads: readonly Nad[];
  readonly slicePools: readonly NodeSlicePool[];
}

async function assign(
  host: PartHost,
  { nodes, nads, slicePools }: State,
  flatFiles: readonly string[],
  metrics: ReturnType<typeof metricsOf>,
): Promise<void> {
  const { networks, faults } = networksOf(
    nads.map(({ object }) => object),
    flatFiles,
  );
  const { wanted, faults: contradictions } = wantedSlices(networks);
  for (const { nads: names, why } of contradictions) {
    await tellNads(host, nads, names, 'NodeSliceRefused', why);
  }
  const names = new Set(networks.map(({ networkName }) => networkName).filter((name) => name !== ''));
  const byName = new Map(slicePools.map((object) => [object.metadata.name, object]));
  let pools: readonly StoredPool[] | undefined;
  const live = async (of: Pick<WantedSlices, 'networkName' | 'range'>): Promise<readonly Allocation[]> => {
    pools ??= await readPools(host.api, host.log);
    return liveSlices(of, pools, names);
  };
  const failures: unknown[] = [];
  for (const one of wanted) {
    try {
      const object = byName.get(one.name);
      const plan = isSettled(one, object, nodes) ? undefined : planFor(one, object, nodes, await live(one));
      if (plan !== undefined) {
        const isNew = await writeSlicePool(host.api, object, one, plan.allocations, ownersOf(host, one, nads));
        await tellPlan(host, one, plan, isNew);
        metrics.planned(one.name, plan);
      }
    } catch (error) {
      failures.push(error);
      host.log(`cannot write NodeSlicePool "${one.name}": ${messageOf(error)}`);
    }
  }
  // What nobody wants any more goes, unless somebody may want it whose configuration cannot be read.
  const isSure = faults.length === 0 && contradictions.length === 0;
  const unwanted = slicePools.filter(({ metadata }) => !wanted.some(({ name }) => name === metadata.name));
  for (const object of isSure ? unwanted : []) {
    await dropSlicePool(host, object, await poolsOnce());
  }
  if (failures.length > 0) {
    throw new Error(`${failures.length} of ${wanted.length} NodeSlicePools could not be written`);
  }

  async function poolsOnce(): Promise<readonly StoredPool[]> {
    pools ??= await readPools(host.api, host.log);
    return pools;
  }
}

/** Is all as it should be, so that nobody need look at pools? */
function isSettled(
  { range, size }: WantedSlices,
  object: NodeSlicePool | undefined,
  nodes: readonly string[],
): boolean {
  const allocations = object?.status?.allocations ?? [];
  const owners = allocations.flatMap(({ nodeName }) => (nodeName === '' ? [] : [nodeName]));
  return (
    object?.spec.range === formatCidr(range) &&
    Number(object.spec.sliceSize.replace('/', '')) === size &&
    owners.length === nodes.length &&
    nodes.every((node) => owners.includes(node))
  );
}

function planFor(
  { range, size, window }: WantedSlices,
  object: NodeSlicePool | undefined,
  nodes: readonly string[],
  live: readonly Allocation[],
): SlicePlan {
  const known = object?.status?.allocations ?? [];
  const liveTexts = new Set(live.map(({ nodeName, sliceRange }) => `${nodeName} ${sliceRange}`));
  const knownTexts = new Set(known.map(({ nodeName, sliceRange }) => `${nodeName} ${sliceRange}`));
  const forgotten = live.filter(({ nodeName, sliceRange }) => !knownTexts.has(`${nodeName} ${sliceRange}`));
  return planSlices({
    range,
    size,
    window,
    nodes,
    current: [...known, ...forgotten],
    isLive: (node, slice) => liveTexts.has(`${node} ${formatCidr(slice)}`),
  });
}

/** Owners must be in the namespace of what they own; one that lives elsewhere would have it collected under it. */
function ownersOf({ api }: PartHost, { nads: names }: WantedSlices, nads: readonly Nad[]): readonly Owner[] {
  const owners = names.map((name) => nads.find(({ object }) => refOf(object) === name));
  return owners.every((nad) => nad?.object.metadata.namespace === api.namespace)
    ? owners.flatMap((nad) => (nad === undefined ? [] : [{ name: nad.object.metadata.name, uid: nad.uid }]))
    : [];
}

const refOf = ({ metadata: { namespace = '', name } }: KubeObject): string => `${namespace}/${name}`;

async function tellPlan(
  host: PartHost,
  { name, nads }: WantedSlices,
  { without, leaving }: SlicePlan,
  isNew: boolean,
): Promise<void> {
  if (isNew) {
    host.log(`NodeSlicePool "${name}" is written`);
  }
  for (const { nodeName, sliceRange } of isNew ? leaving : []) {
    host.log(`NodeSlicePool "${name}": ${sliceRange} of node "${nodeName}" waits for its last addresses`);
  }
  if (without.length > 0) {
    const message = `no slice is left for ${without.length} nodes: ${without.slice(0, 10).join(', ')}`;
    if (isNew) {
      host.log(`NodeSlicePool "${name}": ${message}`);
    }
    const regarding = {
      apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
      kind: 'NodeSlicePool',
      namespace: host.api.namespace,
      name,
    };
    await host.events.record(warning('NodeSlicePoolFull', `${message} (networks ${nads.join(', ')})`, regarding));
  }
}

async function tellNads(
  host: PartHost,
  nads: readonly Nad[],
  names: readonly string[],
  reason: string,
  why: string,
): Promise<void> {
  host.log(`cannot cut ranges of ${names.join(', ')} into slices: ${why}`);
  for (const { object, uid } of nads.filter((nad) => names.includes(refOf(nad.object)))) {
    const { namespace = '', name } = object.metadata;
    const kind = 'NetworkAttachmentDefinition';
    await host.events.record(warning(reason, why, { apiVersion: 'k8s.cni.cncf.io/v1', kind, namespace, name, uid }));
  }
}

const warning = (reason: string, message: string, regarding: KubeEvent['regarding']): KubeEvent => ({
  type: 'Warning',
  reason,
  message,
  regarding,
  component: 'node-slice-controller',
});

function metricsOf({ metrics }: PartHost) {
  const without = metrics.gauge('whereabouts_nodes_without_slice', 'Nodes for which a range has no slice left.');
  const leaving = metrics.gauge('whereabouts_slices_leaving', 'Slices that wait for their last addresses.');
  const failures = metrics.counter('whereabouts_failures_total', 'What could not be done, by part.');
  return {
    planned: (pool: string, plan: SlicePlan): void => {
      without.set(plan.without.length, { pool });
      leaving.set(plan.leaving.length, { pool });
    },
    failed: () => failures.add(1, { part: 'slices' }),
  };
}
