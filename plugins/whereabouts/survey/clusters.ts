import { messageOf } from '../../../lib/cni/errors.ts';
import type { ReadAccess } from '../../../lib/kube/access.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import { openClient } from '../../../lib/kube/client.ts';
import { readInCluster } from '../../../lib/kube/in-cluster.ts';
import { readKubeconfig } from '../../../lib/kube/kubeconfig.ts';
import type { Env } from '../../../lib/sys/execute.ts';
import type { ClusterConfigured } from '../configured.ts';

/** Where the pools are when neither a person nor the kubeconfig says so. */
const NAMESPACE = 'kube-system';

const CONNECTIONS = 8;
const TIMEOUT_MS = 10_000;

export const CLUSTER_OPTIONS = {
  kubeconfig: { type: 'string', multiple: true, default: [] as string[] },
  'in-cluster': { type: 'boolean', default: false },
  namespace: { type: 'string', default: '' },
} as const;

/** What a person says of clusters. */
export interface ClusterOptions {
  readonly kubeconfig: readonly string[];
  readonly 'in-cluster': boolean;
  readonly namespace: string;
}

/** A cluster that can be asked. */
export interface Cluster extends Disposable {
  /** for people: the path of the kubeconfig that leads there, or `in-cluster` */
  readonly name: string;
  /** all kubeconfigs that lead there: this node's journal knows it by their paths */
  readonly kubeconfigs: readonly string[];
  readonly server: string;
  readonly api: KubeApi;
}

export interface Clusters {
  readonly clusters: readonly Cluster[];
  /** why others cannot be asked */
  readonly faults: readonly string[];
}

export const IN_CLUSTER = 'in-cluster';

/**
 * The clusters that a person names, and those that configurations lead to. Two ways to the same server and namespace are
 * one cluster, which is asked the first way: a person may have more rights than the plugin.
 *
 * @param env of the program, for `--in-cluster`
 */
export async function openClusters(
  options: ClusterOptions,
  configured: readonly Pick<ClusterConfigured, 'kubeconfig'>[],
  env: Env = {},
): Promise<Clusters> {
  const paths = [...new Set([...options.kubeconfig, ...configured.map(({ kubeconfig }) => kubeconfig)])];
  const ways = [
    ...(options['in-cluster'] ? [{ name: IN_CLUSTER, readAccess: () => readInCluster(env) }] : []),
    ...paths.map((name) => ({ name, readAccess: () => readKubeconfig(name) })),
  ];
  const found = new Map<string, Cluster>();
  const faults: string[] = [];
  for (const { name, readAccess } of ways) {
    try {
      const cluster = await openCluster(name, readAccess, options.namespace);
      const key = `${cluster.server} ${cluster.api.namespace}`;
      const known = found.get(key);
      if (known === undefined) {
        found.set(key, cluster);
      } else {
        cluster[Symbol.dispose]();
        found.set(key, { ...known, kubeconfigs: [...known.kubeconfigs, ...cluster.kubeconfigs] });
      }
    } catch (error) {
      faults.push(messageOf(error));
    }
  }
  return { clusters: [...found.values()], faults };
}

/**
 * Opens a cluster; nothing is asked yet.
 *
 * @param namespace of the pools; '' for that of the context
 * @throws CniError, ApiError
 */
export async function openCluster(name: string, readAccess: ReadAccess, namespace: string): Promise<Cluster> {
  let server = '';
  const read: ReadAccess = async () => {
    const access = await readAccess();
    server = access.server;
    return namespace === '' ? access : { ...access, namespace };
  };
  const client = await openClient(read, { namespace: NAMESPACE, connections: CONNECTIONS, timeoutMs: TIMEOUT_MS });
  return {
    name,
    kubeconfigs: name === IN_CLUSTER ? [] : [name],
    server,
    api: client.api(),
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

/** Closes all of them. */
export function closing(clusters: readonly Cluster[]): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const cluster of clusters) {
        cluster[Symbol.dispose]();
      }
    },
  };
}
