import { CniError, messageOf, withPrefix } from '../../../lib/cni/errors.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import { faultOf } from '../../../lib/kube/faults.ts';
import { CLIENTS, type Reached } from '../../../lib/kube/lazy-client.ts';
import type { Node } from '../../../lib/node/node.ts';
import { confNamed } from '../conf-files.ts';
import type { MultusConf } from '../config.ts';
import { planDelegate } from '../delegates.ts';
import { fixed, type Network } from '../network.ts';
import { confDirOf, multusNamespaceOf } from '../places.ts';
import type { Pod } from '../runtime-args.ts';
import { definedNetwork } from './defined.ts';
import { Definitions, type KnownDefinition } from './definitions.ts';
import type { PodObject } from './objects.ts';
import { findPod } from './pods.ts';

/** A server may be slow, and far away. */
const TIMEOUT_MS = 15_000;

/** Where a kubeconfig's context names no namespace; all requests name theirs. */
const NAMESPACE = 'default';

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
export async function clusterOf(reached: Reached, conf: MultusConf, scope: Scope): Promise<Cluster> {
  const client = scope.node.shared(CLIENTS).at(reached, scope.node);
  const api = async (): Promise<KubeApi> => {
    try {
      return await client.open(scope.signal, { namespace: NAMESPACE, timeoutMs: TIMEOUT_MS });
    } catch (error) {
      throw withPrefix('error getting k8s client', faultOf(error));
    }
  };
  const confDir = confDirOf(conf);
  const known = await whatIsKnown(reached, scope.node);
  const definitions = new Definitions(api, confDir, known.definition);
  return {
    definitions,
    api,
    findPod: async (pod) => {
      const followed = known.pod?.(pod);
      if (followed !== undefined) {
        return followed;
      }
      const found = await findPod(await api(), pod, scope);
      if (found !== undefined) {
        known.learn?.(found);
      }
      return found;
    },
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

/** What need not be asked for. */
interface Known {
  readonly definition?: KnownDefinition;
  pod?(pod: Pod): PodObject | undefined;
  learn?(object: PodObject): void;
}

/** Whoever serves many calls follows definitions and the pods of its node, and others ask for them. */
async function whatIsKnown(reached: Reached, node: Node): Promise<Known> {
  if (!node.servesMany) {
    return {};
  }
  const { FOLLOWED_DEFINITIONS, FOLLOWED_PODS } = await import('../followed.ts');
  const [definitions, pods] = [node.shared(FOLLOWED_DEFINITIONS), node.shared(FOLLOWED_PODS)];
  return {
    definition: (namespace, name) => definitions.get(reached, namespace, name),
    pod: (pod) => pods.get(reached, pod),
    learn: (object) => pods.learn(reached, object),
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
