import type { Call } from '../../lib/cni/call.ts';
import { CniError, type CodeWord, messageOf, quoted, withPrefix } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { parseResult } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { auxiliaryChain, delegateAt } from './cluster-network.ts';
import type { MultusConf } from './config.ts';
import { type Delegate, planDelegates } from './delegates.ts';
import type { Log } from './log.ts';
import { waitReady } from './readiness.ts';
import type { Pod } from './runtime-args.ts';

/** How `loadNetworks` goes about it. */
export interface Loading {
  /** '' where no pod is meant */
  readonly namespace: Pod['namespace'];
  /** begins messages once the configuration is read */
  readonly prefix: string;
  /** the code when the node does not become ready; undefined: do not wait for that */
  readonly notReady: CodeWord | undefined;
}

/**
 * The networks of a pod, the first its own. What the configuration itself says is judged before the wait for the node
 * to become ready, files of the cluster network are read after it.
 *
 * @throws CniError invalidNetworkConfig when there is none, one cannot be used, or Kubernetes would be needed
 */
export async function loadNetworks(
  call: Call<MultusConf>,
  scope: Scope,
  log: Log,
  { namespace, prefix, notReady }: Loading,
): Promise<readonly Delegate[]> {
  const fixed = prefixErrors('Multus: error loading netconf', () => readNetworks(call));
  try {
    if (notReady !== undefined) {
      await waitReady(call.conf.readinessindicatorfile, scope, notReady);
    }
    return fixed ?? clusterNetworks(call, namespace, log);
  } catch (error) {
    throw withPrefix(prefix, error);
  }
}

/**
 * What ADD refuses, whatever the pod is.
 *
 * @throws CniError
 */
export function refuseUnusable(call: Call<MultusConf>): void {
  const fixed = prefixErrors('Multus: error loading netconf', () => readNetworks(call));
  if (fixed === undefined) {
    clusterNetworks(call, '', { error: () => undefined });
  }
}

/**
 * The networks that a configuration names by their paths.
 *
 * @throws CniError
 */
export const networksAtPaths = ({ clusterNetwork, defaultNetworks }: MultusConf): readonly JsonObject[] =>
  [clusterNetwork, ...defaultNetworks]
    .filter((path) => path.includes('/'))
    .map((path) => JSON.parse(delegateAt(path).list.bytes.toString('utf8')) as JsonObject);

/** Does something whose errors get a prefix. */
export function prefixErrors<T>(prefix: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withPrefix(prefix, error);
  }
}

/** @returns undefined when a cluster network takes the place of the delegates */
function readNetworks({ conf, version }: Call<MultusConf>): readonly Delegate[] | undefined {
  parseResult(conf.prevResult, version, 'prevResult');
  refuseKubernetes(conf);
  if (conf.clusterNetwork !== '') {
    return undefined;
  }
  if (conf.delegates.length === 0) {
    throw unusable('delegates', conf.delegates, 'is empty, and "clusterNetwork" is not given either');
  }
  if (conf.auxiliaryCNIChainName !== '') {
    throw unusable('auxiliaryCNIChainName', conf.auxiliaryCNIChainName, 'needs "clusterNetwork" to be a path');
  }
  return planDelegates(conf.delegates);
}

function clusterNetworks(call: Call<MultusConf>, namespace: string, log: Pick<Log, 'error'>): readonly Delegate[] {
  const { clusterNetwork, defaultNetworks, systemNamespaces, auxiliaryCNIChainName } = call.conf;
  const isSystem = (systemNamespaces ?? ['kube-system']).includes(namespace);
  const networks = prefixErrors('failed to get clusterNetwork/defaultNetworks', () =>
    [clusterNetwork, ...(isSystem ? [] : defaultNetworks)].map(delegateAt),
  );
  try {
    const { version } = call;
    const chain = auxiliaryCNIChainName && auxiliaryChain(auxiliaryCNIChainName, clusterNetwork, version);
    return chain ? [...networks, chain] : networks;
  } catch (error) {
    // the pod has its networks without it
    log.error(`cannot load auxiliary chain "${auxiliaryCNIChainName}": ${messageOf(error)}`);
    return networks;
  }
}

/** What only the Kubernetes API can answer is refused, rather than run without. */
function refuseKubernetes({ kubeconfig, clusterNetwork, defaultNetworks }: MultusConf): void {
  if (kubeconfig !== '') {
    throw unusable('kubeconfig', kubeconfig, 'needs the Kubernetes API, which this version does not use yet');
  }
  if (clusterNetwork === '') {
    return;
  }
  const byName = [clusterNetwork, ...defaultNetworks].findIndex((network) => !network.includes('/'));
  if (byName >= 0) {
    const key = byName === 0 ? 'clusterNetwork' : `defaultNetworks.${byName - 1}`;
    const why = 'is a name, which needs the Kubernetes API, which this version does not use yet; give a path';
    throw unusable(key, byName === 0 ? clusterNetwork : (defaultNetworks[byName - 1] ?? ''), why);
  }
}

const unusable = (key: string, value: unknown, why: string): CniError =>
  new CniError('invalidNetworkConfig', `cannot use "${key}": ${quoted(value)} ${why}`);
