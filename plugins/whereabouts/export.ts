import { readOptions, WrongUsage } from '../../lib/cli/options.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import type { Env } from '../../lib/sys/execute.ts';
import { storedIn } from './cluster/stored-pool.ts';
import { openDatastore } from './datastore.ts';
import { exportedNetwork, formatExported } from './exported.ts';
import { placeOf } from './place.ts';
import { networksIn } from './stores.ts';
import { exportedPool } from './survey/cluster-views.ts';
import { CLUSTER_OPTIONS, type ClusterOptions } from './survey/clusters.ts';
import { surveyAll } from './survey/survey-all.ts';

type Print = (line: string) => void;
type Networks = Parameters<typeof formatExported>[0];

/** `braid ipam export`: of one place, a folder or a cluster. */
export async function exportStore(args: readonly string[], scope: Scope, print: Print, env?: Env): Promise<number> {
  const { values } = readOptions(args, { ...CLUSTER_OPTIONS, 'data-dir': { type: 'string', default: '' } });
  const clusters = values.kubeconfig.length + (values['in-cluster'] ? 1 : 0);
  if (clusters + (values['data-dir'] === '' ? 0 : 1) > 1) {
    throw new WrongUsage('expected one place: --data-dir, --kubeconfig or --in-cluster');
  }
  print(formatExported(clusters > 0 ? await ofCluster(values, scope, env) : await ofFolder(values['data-dir'], scope)));
  return 0;
}

async function ofFolder(folder: string, scope: Scope): Promise<Networks> {
  const { dataDir } = placeIn(folder);
  const networks: Networks[number][] = [];
  for (const place of await networksIn(dataDir, scope)) {
    networks.push(exportedNetwork(place.networkName, await openDatastore(place, scope).pools()));
  }
  return networks;
}

/** @throws Error when the cluster cannot be asked: half an export is none */
async function ofCluster(options: ClusterOptions, scope: Scope, env: Env | undefined): Promise<Networks> {
  using found = await surveyAll(scope, [], options, env);
  const [survey] = found.surveys;
  if (survey === undefined) {
    throw new Error(found.faults.join('; '));
  }
  for (const { text } of survey.unreadable) {
    scope.log(`not exported: ${text}`);
  }
  const pools = survey.pools.filter(({ stored }) => storedIn(stored).length > 0);
  return [...Map.groupBy(pools, ({ networkName }) => networkName)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([networkName, own]) => exportedNetwork(networkName, own.map(exportedPool)));
}

function placeIn(dataDir: string) {
  try {
    return placeOf(dataDir, '');
  } catch (error) {
    throw new WrongUsage(messageOf(error), { cause: error });
  }
}
