import { count } from '../../../lib/cli/table.ts';
import { formatCidr } from '../../../lib/net/cidr.ts';
import { isInside, type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { poolName } from '../names.ts';
import { byAddress, type Pool } from '../pool.ts';
import { type PoolView, viewOf } from '../pool-view.ts';
import type { Survey, SurveyedPool } from './survey.ts';

/** The pools of a cluster: those that there are, and those that are only configured yet. */
export function clusterViews({ cluster, pools, configured }: Survey): readonly PoolView[] {
  const { name: kubeconfig, api } = cluster;
  const placeOf = (networkName: string, node: string) =>
    ({ kind: 'kubernetes', kubeconfig, namespace: api.namespace, networkName, node }) as const;
  const ofNetwork = (networkName: string) => configured.filter((one) => one.networkName === networkName);
  const stored = pools.map(({ networkName, node, stored: pool }) =>
    viewOf(placeOf(networkName, node), heldIn(pool), ofNetwork(networkName), pool.name),
  );
  const known = new Set(stored.map(({ name }) => name));
  const empty = configured.flatMap(({ networkName, ranges, sliceSize }) =>
    (sliceSize === '' ? ranges : [])
      .filter(({ cidr }) => !known.has(poolName(networkName, cidr)))
      .map(({ cidr }) =>
        viewOf(placeOf(networkName, ''), { range: formatCidr(cidr), cidr, held: [] }, ofNetwork(networkName)),
      ),
  );
  return [...stored, ...new Map(empty.map((view) => [view.name, view])).values()].sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : 0,
  );
}

const heldIn = (pool: StoredPool): Pool => ({
  range: formatCidr(pool.cidr),
  cidr: pool.cidr,
  held: storedIn(pool)
    .filter((one) => isInside(pool, one))
    .map(({ held }) => held)
    .sort(byAddress),
});

export const exportedPool = ({ node, stored }: SurveyedPool) => ({ ...heldIn(stored), node });

/** How ranges are divided among nodes: one line for each table. */
export const sliceLines = ({ tables }: Survey): readonly string[] =>
  tables.map(({ metadata: { name }, spec, status }) => {
    const slices = status?.allocations ?? [];
    const taken = slices.filter(({ nodeName = '' }) => nodeName !== '').length;
    const size = (spec?.sliceSize ?? '').replace(/^\/?/, '/');
    return `slices of "${name}": ${spec?.range ?? ''} in parts of ${size}, ${taken} of ${count(slices.length, 'part')} for nodes`;
  });
