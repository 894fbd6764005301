import { messageOf } from '../../../lib/cni/errors.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { Env } from '../../../lib/sys/execute.ts';
import { clusterConfiguredIn } from '../configured.ts';
import { type ClusterOptions, closing, openClusters } from './clusters.ts';
import { type Survey, survey } from './survey.ts';

export interface Surveys extends Disposable {
  readonly surveys: readonly Survey[];
  readonly faults: readonly string[];
}

/** Looks at every cluster that a person names, or that configurations lead to. */
export async function surveyAll(
  scope: Scope,
  confs: readonly JsonObject[],
  options: ClusterOptions,
  env?: Env,
): Promise<Surveys> {
  const configured = clusterConfiguredIn(confs, scope.log);
  const { clusters, faults } = await openClusters(options, configured, env);
  const surveys: Survey[] = [];
  const more: string[] = [];
  for (const cluster of clusters) {
    try {
      surveys.push(await survey(cluster, configured));
    } catch (error) {
      more.push(messageOf(error));
    }
  }
  return { surveys, faults: [...faults, ...more], ...closing(clusters) };
}
