import { count } from '../../../lib/cli/table.ts';
import { messageOf } from '../../../lib/cni/errors.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { Env } from '../../../lib/sys/execute.ts';
import { audit, type Known, type Trouble } from '../audit.ts';
import { type ClusterConfigured, clusterConfiguredIn } from '../configured.ts';
import { sameHeld } from '../pool.ts';
import type { PoolView } from '../pool-view.ts';
import { allDataDirs } from '../views.ts';
import { clusterViews } from './cluster-views.ts';
import { type Cluster, type ClusterOptions, closing, openClusters } from './clusters.ts';
import { freeInCluster } from './free.ts';
import { judge, podrefsIn, type Suspicion } from './judge.ts';
import { forget, type NodeJournal, readJournals } from './node-journals.ts';
import { listPods, lookAtPods } from './read-pods.ts';
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
  const states = new Map(known.containers.map(({ containerId, state }) => [containerId, state]));
  const isKnownHere = (id: string): boolean => states.has(id);
  const first = await survey(cluster, configured);
  const pods = await listPods(cluster.api, podrefsIn(first));
  const before = judge({ survey: first, pods, isKnownHere, nowMs: Date.now() });
  const after = before.length === 0 ? undefined : await lookAgain();
  const now = after?.survey ?? first;
  const views = clusterViews(now);
  const troubles = [
    ...audit(views, known).map(inCluster(now)),
    ...(after?.confirmed ?? []).map(({ trouble }) => trouble),
  ];
  const unasked = [...new Set([...now.unasked, ...pods.unasked, ...(after?.unasked ?? [])])];
  const repaired = mayRepair ? await repair(now, troubles, journals, scope) : { done: [], faults: [] };
  return { views, troubles, repaired: new Set(repaired.done), faults: repaired.faults, unasked };

  async function lookAgain() {
    if (waitMs > 0) {
      tell(`${count(before.length, 'trouble')} may pass: looking again in ${waitMs / 1000} s (--wait)`);
      await scope.sleep(waitMs);
    }
    const second = await survey(cluster, configured);
    const asked = await lookAtPods(
      cluster.api,
      before.map(({ podref }) => podref).filter((podref) => podref !== ''),
    );
    const keys = new Set(before.map(({ key }) => key));
    const seen = judge({ survey: second, pods: asked, isKnownHere, nowMs: Date.now() });
    return { survey: second, confirmed: seen.filter(({ key }: Suspicion) => keys.has(key)), unasked: asked.unasked };
  }
}

/** What is found by comparing with this node is freed in the cluster. */
const inCluster =
  (of: Survey) =>
  ({ dead, ...trouble }: Trouble): Trouble => {
    const pool = of.pools.find(({ stored }) => stored.name === dead?.view.name);
    const stored = pool?.stored.stored.find(({ held }) => dead !== undefined && sameHeld(held, dead.held));
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
