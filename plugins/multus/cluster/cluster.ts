import { CniError, messageOf, withPrefix } from '../../../lib/cni/errors.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import { faultOf } from '../../../lib/kube/faults.ts';
import { LazyClient, type Reached } from '../../../lib/kube/lazy-client.ts';
import type { Slot } from '../../../lib/sys/shared.ts';
import { confNamed } from '../conf-files.ts';
import type { MultusConf } from '../config.ts';
import { planDelegate } from '../delegates.ts';
import { fixed, type Network } from '../network.ts';
import { confDirOf, multusNamespaceOf } from '../places.ts';
import type { Pod } from '../runtime-args.ts';
import { definedNetwork } from './defined.ts';
import { Definitions } from './definitions.ts';
import type { PodObject } from './objects.ts';
import { findPod } from './pods.ts';

/** One for each request that a pod with many networks makes at once would cost a handshake each. */
const CONNECTIONS = 4;

/** A server may be slow, and far away. */
const TIMEOUT_MS = 15_000;

/** Where a kubeconfig's context names no namespace; all requests name theirs. */
const NAMESPACE = 'default';

/** What the calls of a process share, by the server that is meant. */
class Clients implements Disposable {
  private readonly clients = new Map<string, LazyClient>();

  at(reached: Reached): LazyClient {
    const key = reached.inCluster === undefined ? reached.kubeconfig : '';
    const options = { namespace: NAMESPACE, connections: CONNECTIONS, timeoutMs: TIMEOUT_MS };
    const client = this.clients.get(key) ?? new LazyClient(reached, options);
    this.clients.set(key, client);
    return client;
  }

  [Symbol.dispose](): void {
    for (const client of this.clients.values()) {
      client[Symbol.dispose]();
    }
  }
}

const CLIENTS: Slot<Clients> = { make: () => new Clients() };

/** What a call asks the cluster for. */
export interface Cluster {
  readonly definitions: Definitions;
  /** @throws CniError when the credentials cannot be used */
  api(): Promise<KubeApi>;
  /** As {@link findPod}. */
  findPod(pod: Pod): Promise<PodObject | undefined>;
  /**
   * A network that the configuration names: by a definition, or else by a file in `confDir`.
   *
   * @throws CniError when there is neither
   */
  named(name: string): Promise<Network>;
}

/** Asks nothing yet. */
export function clusterOf(reached: Reached, conf: MultusConf, scope: Scope): Cluster {
  const client = scope.node.shared(CLIENTS).at(reached);
  const api = async (): Promise<KubeApi> => {
    try {
      return await client.open(scope.signal);
    } catch (error) {
      throw withPrefix('error getting k8s client', faultOf(error));
    }
  };
  const confDir = confDirOf(conf);
  const definitions = new Definitions(api, confDir);
  return {
    definitions,
    api,
    findPod: async (pod) => findPod(await api(), pod, scope),
    named: async (name) => {
      const namespace = multusNamespaceOf(conf);
      try {
        return definedNetwork(await definitions.get(namespace, name));
      } catch (error) {
        return inFolder(confDir, name, error);
      }
    },
  };
}

function inFolder(confDir: string, name: string, missing: unknown): Network {
  try {
    const { document, bytes } = confNamed(confDir, name);
    return fixed(planDelegate(document, '', bytes));
  } catch (error) {
    const why = `${messageOf(missing)}; ${messageOf(error)}`;
    throw new CniError('invalidNetworkConfig', `cannot use network "${name}": ${why}`, { cause: missing });
  }
}
