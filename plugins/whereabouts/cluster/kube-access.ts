import type { ReadAccess } from '../../../lib/kube/access.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import { type KubeClient, openClient } from '../../../lib/kube/client.ts';
import { readKubeconfig } from '../../../lib/kube/kubeconfig.ts';
import type { Env } from '../../../lib/sys/execute.ts';
import type { ClusterPlace } from '../place.ts';

/** Where the Go plugin's installer puts everything, when the context names no namespace. */
const NAMESPACE = 'kube-system';

/** Each reservation is a request of its own, and a pod has many; but each connection costs a handshake. */
const CONNECTIONS = 2;

/** A server that has too much to do answers late, and to be asked again does not help it. */
const TIMEOUT_MS = 10_000;

/** The API server of a kubeconfig, which is read when something is asked of it. */
export class KubeAccess implements Disposable {
  private readonly readAccess: ReadAccess;
  private client: Promise<KubeClient> | undefined;

  constructor({ kubeconfig, namespace, inCluster }: Pick<ClusterPlace, 'kubeconfig' | 'namespace' | 'inCluster'>) {
    const read: ReadAccess =
      inCluster === undefined ? () => readKubeconfig(kubeconfig) : () => readInClusterOf(inCluster);
    this.readAccess = namespace === undefined ? read : async () => ({ ...(await read()), namespace });
  }

  /** @throws CniError when the kubeconfig cannot be used: the next call reads it again */
  async open(): Promise<KubeApi> {
    this.client ??= openClient(this.readAccess, {
      namespace: NAMESPACE,
      connections: CONNECTIONS,
      timeoutMs: TIMEOUT_MS,
    });
    try {
      return (await this.client).api();
    } catch (error) {
      this.client = undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    void this.client?.then(
      (client) => client[Symbol.dispose](),
      () => undefined,
    );
  }
}

/** Nothing on a node needs it. */
const readInClusterOf = async (env: Env) => (await import('../../../lib/kube/in-cluster.ts')).readInCluster(env);
