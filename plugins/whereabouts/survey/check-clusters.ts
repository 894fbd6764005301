import { count } from '../../../lib/cli/table.ts';
import { messageOf } from '../../../lib/cni/errors.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { Env } from '../../../lib/sys/execute.ts';
import { audit, type Known, type Trouble } from '../audit.ts';
import { storedIn } from '../cluster/stored-pool.ts';
import { type ClusterConfigured, clusterConfiguredIn } from '../configured.ts';
import { sameHeld } from '../pool.ts';
import type { PoolView } from '../pool-view.ts';
import { allDataDirs } from '../views.ts';
import { clusterViews } from './cluster-views.ts';
import { type Cluster, type ClusterOptions, closing, openClusters } from './clusters.ts';
import { freeInCluster } from './free.ts';
import { judge, podrefsIn, type Suspicion } from './judge.ts';
import { forget, type NodeJournal, readJournals } from './node-journals.ts';
import { listPods, lookAtPods, type Pods } from './read-pods.ts';
import { type Survey, type SurveyedPool, survey } from './survey.ts';

export interface CheckWanted {
  readonly confs: readonly JsonObject[];
  /** about this node */
  readonly known: Known;
  readonly options: ClusterOptions;
  readonly env: Env | undefined;
  /** between two looks */
  readonly waitMs: number;
  readonly mayRepair: boolean;
}

export interface CheckedClusters {
  readonly views: readonly PoolView[];
  readonly troubles: readonly Trouble[];
  readonly repaired: ReadonlySet<Trouble>;
  readonly faults: readonly string[];
  /** what could not be checked, and why */
  readonly unasked: readonly string[];
}

/** What is wrong in the pools of clusters. What the cluster alone speaks for must be so twice. */
export async function checkClusters(
  wanted: CheckWanted,
  scope: Scope,
  tell: (line: string) => void,
): Promise<CheckedClusters> {
  const configured = clusterConfiguredIn(wanted.confs, scope.log);
  const { clusters, faults } = await openClusters(wanted.options, configured, wanted.env);
  using _ = closing(clusters);
  const all: CheckedClusters[] = [];
  const more: string[] = [...faults];
  for (const cluster of clusters) {
    try {
      all.push(await checkCluster(cluster, configured, wanted, scope, tell));
    } catch (error) {
      more.push(messageOf(error));
    }
  }
  return {
    views: all.flatMap(({ views }) => views),
    troubles: all.flatMap(({ troubles }) => troubles),
    repaired: new Set(all.flatMap(({ repaired }) => [...repaired])),
    faults: [...more, ...all.flatMap((one) => one.faults)],
    unasked: all.flatMap(({ unasked }) => unasked),
  };
}

async function checkCluster(
  cluster: Cluster,
  configured: readonly ClusterConfigured[],
  { confs, known, waitMs, mayRepair }: CheckWanted,
  scope: Scope,
  tell: (line: string) => void,
): Promise<CheckedClusters> {
  const journals = (await readJournals(scope, allDataDirs(confs))).filter(({ kubeconfig }) =>
    cluster.kubeconfigs.includes(kubeconfig),
  );
  const here = new Set(known.containers.map(({ containerId }) => containerId));
  const look = (podsOf: PodsOf) => lookAt(cluster, configured, here, podsOf);
  const first = await look((seen) => listPods(cluster.api, podrefsIn(seen)));
  const { suspicions } = first;
  if (suspicions.length > 0 && waitMs > 0) {
    tell(`${count(suspicions.length, 'trouble')} may pass: looking again in ${waitMs / 1000} s (--wait)`);
    await scope.sleep(waitMs);
  }
  const pods = new Set(suspicions.map(({ podref }) => podref));
  const last = suspicions.length === 0 ? first : await look(() => lookAtPods(cluster.api, pods));
  const keys = new Set(suspicions.map(({ key }) => key));
  const confirmed = last.suspicions.filter(({ key }) => keys.has(key));
  const views = clusterViews(last.survey);
  const troubles = [...audit(views, known).map(inCluster(last.survey)), ...confirmed.map(({ trouble }) => trouble)];
  const repaired = mayRepair ? await repair(last.survey, troubles, journals, scope) : { done: [], faults: [] };
  const unasked = [...new Set([...first.unasked, ...last.unasked])];
  return { views, troubles, repaired: new Set(repaired.done), faults: repaired.faults, unasked };
}

type PodsOf = (seen: Survey) => Promise<Pods>;

interface Look {
  readonly survey: Survey;
  readonly suspicions: readonly Suspicion[];
  readonly unasked: readonly string[];
}

/** Pools first: who has been given an address since is asked for then. */
async function lookAt(
  cluster: Cluster,
  configured: readonly ClusterConfigured[],
  here: ReadonlySet<string>,
  podsOf: PodsOf,
): Promise<Look> {
  const seen = await survey(cluster, configured);
  const pods = await podsOf(seen);
  const suspicions = judge({ survey: seen, pods, isKnownHere: (id) => here.has(id), nowMs: Date.now() });
  return { survey: seen, suspicions, unasked: [...seen.unasked, ...pods.unasked] };
}

/** What is found by comparing with this node is freed in the cluster. */
const inCluster =
  (of: Survey) =>
  ({ dead, ...trouble }: Trouble): Trouble => {
    const pool = of.pools.find(({ stored }) => stored.name === dead?.view.name);
    const stored = (pool === undefined ? [] : storedIn(pool.stored)).find(
      ({ held }) => dead !== undefined && sameHeld(held, dead.held),
    );
    return pool === undefined || stored === undefined
      ? trouble
      : { ...trouble, inCluster: { survey: of, entry: { pool, stored } } };
  };

async function repair(
  of: Survey,
  troubles: readonly Trouble[],
  journals: readonly NodeJournal[],
  scope: Scope,
): Promise<{ readonly done: readonly Trouble[]; readonly faults: readonly string[] }> {
  const wanted = troubles.filter((trouble) => trouble.inCluster !== undefined);
  if (wanted.length === 0) {
    return { done: [], faults: [] };
  }
  try {
    await freeInCluster(
      of,
      {
        entries: wanted.flatMap((one) => one.inCluster?.entry ?? []),
        reservations: wanted.flatMap((one) => one.inCluster?.reservation ?? []),
        forget: (pool, freed) =>
          forgetIn(journals, pool, new Set(freed.map(({ key, raw }) => `${key} ${raw.id}`)), scope),
      },
      scope,
    );
    return { done: wanted, faults: [] };
  } catch (error) {
    return { done: [], faults: [messageOf(error)] };
  }
}

async function forgetIn(
  journals: readonly NodeJournal[],
  { stored: { range } }: SurveyedPool,
  freed: ReadonlySet<string>,
  scope: Scope,
): Promise<void> {
  for (const journal of journals) {
    const rows = journal.rows.filter((row) => row.range === range && freed.has(`${row.key} ${row.id}`));
    if (rows.length > 0) {
      await forget(scope, journal, rows);
    }
  }
}
