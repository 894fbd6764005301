import type { Env } from '../sys/execute.ts';
import type { ReadAccess } from './access.ts';
import type { KubeApi } from './api.ts';
import { type ClientOptions, type KubeClient, openClient } from './client.ts';
import { readKubeconfig } from './kubeconfig.ts';

/** Which API server, and as whom. */
export interface Reached {
  /** path; not looked at where `inCluster` is given */
  readonly kubeconfig: string;
  /** the environment of a pod, which has the access of its service account */
  readonly inCluster?: Env;
  /** in place of the context's */
  readonly namespace?: string | undefined;
}

/** A client that reads the credentials when something is asked of the server. */
export class LazyClient implements Disposable {
  private readonly readAccess: ReadAccess;
  private readonly options: ClientOptions;
  private client: Promise<KubeClient> | undefined;

  constructor({ kubeconfig, namespace, inCluster }: Reached, options: ClientOptions) {
    const read: ReadAccess =
      inCluster === undefined ? () => readKubeconfig(kubeconfig) : () => readInClusterOf(inCluster);
    this.readAccess = namespace === undefined ? read : async () => ({ ...(await read()), namespace });
    this.options = options;
  }

  /**
   * @param signal ends waiting requests with its reason
   * @throws CniError when the credentials cannot be used: the next call reads them again
   */
  async open(signal?: AbortSignal): Promise<KubeApi> {
    this.client ??= openClient(this.readAccess, this.options);
    try {
      return (await this.client).api(signal);
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
const readInClusterOf = async (env: Env) => (await import('./in-cluster.ts')).readInCluster(env);
