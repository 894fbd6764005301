import type { Node } from '../node/node.ts';
import type { Env } from '../sys/execute.ts';
import type { Slot } from '../sys/shared.ts';
import type { ReadAccess } from './access.ts';
import type { KubeApi } from './api.ts';
import { type ClientOptions, type KubeClient, openClient, type Wishes } from './client.ts';
import { readKubeconfig } from './kubeconfig.ts';
import type { Connector } from './wires.ts';

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

  constructor(reached: Reached, options: ClientOptions) {
    this.readAccess = accessOf(reached);
    this.options = options;
  }

  /**
   * @param signal ends waiting requests with its reason
   * @param wishes in place of what the client was made with
   * @throws CniError when the credentials cannot be used: the next call reads them again
   */
  async open(signal?: AbortSignal, wishes?: Wishes): Promise<KubeApi> {
    this.client ??= openClient(this.readAccess, this.options);
    try {
      return (await this.client).api(signal, wishes);
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

/** How to reach it, read anew each time. */
export function accessOf({ kubeconfig, namespace, inCluster }: Reached): ReadAccess {
  const read: ReadAccess =
    inCluster === undefined ? () => readKubeconfig(kubeconfig) : () => readInClusterOf(inCluster);
  return namespace === undefined ? read : async () => ({ ...(await read()), namespace });
}

/** Nothing on a node needs it. */
const readInClusterOf = async (env: Env) => (await import('./in-cluster.ts')).readInCluster(env);

/** A server that has a lot to do answers no sooner on more of them, and each costs both sides a handshake. */
const CONNECTIONS = 2;

/**
 * Clients that the plugins of a process share, by the server that is meant: so they share its connections. They reach it
 * through the network, unless they are given another way.
 */
export class Clients implements Disposable {
  private readonly clients = new Map<string, LazyClient>();
  private readonly connector: Connector | undefined;

  constructor(connector?: Connector) {
    this.connector = connector;
  }

  at(reached: Reached, { observe }: Pick<Node, 'observe'>): LazyClient {
    const { kubeconfig, inCluster, namespace } = reached;
    const key = JSON.stringify([inCluster === undefined ? kubeconfig : '', namespace]);
    const options = { namespace: 'default', connections: CONNECTIONS, observe };
    const client =
      this.clients.get(key) ??
      new LazyClient(reached, { ...options, ...(this.connector && { connector: this.connector }) });
    this.clients.set(key, client);
    return client;
  }

  [Symbol.dispose](): void {
    for (const client of this.clients.values()) {
      client[Symbol.dispose]();
    }
  }
}

/** They end with the process: who uses one leaves it open. */
export const CLIENTS: Slot<Clients> = { make: () => new Clients() };
