import type { KubeApi } from '../../../lib/kube/api.ts';
import { type KubeClient, openClient } from '../../../lib/kube/client.ts';
import { readKubeconfig } from '../../../lib/kube/kubeconfig.ts';
import type { ClusterPlace } from '../place.ts';

/** Where the Go plugin's installer puts everything, when the context names no namespace. */
const NAMESPACE = 'kube-system';

/** Each reservation is a request of its own, and a pod has many. */
const CONNECTIONS = 8;

/** A server that has too much to do answers late, and to be asked again does not help it. */
const TIMEOUT_MS = 10_000;

/** The API server of a kubeconfig, which is read when something is asked of it. */
export class KubeAccess implements Disposable {
  private readonly kubeconfig: string;
  private client: Promise<KubeClient> | undefined;

  constructor({ kubeconfig }: Pick<ClusterPlace, 'kubeconfig'>) {
    this.kubeconfig = kubeconfig;
  }

  /** @throws CniError when the kubeconfig cannot be used: the next call reads it again */
  async open(): Promise<KubeApi> {
    const path = this.kubeconfig;
    this.client ??= openClient(() => readKubeconfig(path), {
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
