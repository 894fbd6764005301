import type { Call } from '../../lib/cni/call.ts';
import { CniError, type CodeWord, messageOf, quoted, withPrefix } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { parseResult } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import type { Cluster } from './cluster/cluster.ts';
import { auxiliaryChain, delegateAt } from './cluster-network.ts';
import { confNamed } from './conf-files.ts';
import type { MultusConf } from './config.ts';
import { type Delegate, planDelegate, planDelegates } from './delegates.ts';
import type { Log } from './log.ts';
import { fixed, type Network } from './network.ts';
import { confDirOf, reachedBy } from './places.ts';
import { waitReady } from './readiness.ts';

/** What networks are loaded with. */
export interface Loading {
  readonly call: Call<MultusConf>;
  readonly scope: Scope;
  readonly log: Pick<Log, 'error'>;
  /** begins messages once the configuration is read */
  readonly prefix: string;
  /** the code when the node does not become ready; undefined: do not wait for that */
  readonly notReady: CodeWord | undefined;
}

/**
 * The networks of the configuration, the first the own network of pods. What the configuration itself says is judged
 * before the wait for the node to become ready, files of the cluster network are read after it.
 *
 * @param namespace of the pod; '' where none is meant
 * @throws CniError invalidNetworkConfig when there is none, or one cannot be used; what the API server's answers mean,
 * where one is given by its name
 */
export const loadNetworks = async (loading: Loading, namespace: string): Promise<readonly Delegate[]> =>
  plannedNetworks(loading, await readyNetworks(loading), namespace);

/**
 * The same when the node is ready.
 *
 * @param configured see `readyNetworks`
 */
export const plannedNetworks = (
  loading: Loading,
  configured: readonly Network[] | undefined,
  namespace: string,
): Promise<readonly Delegate[]> =>
  prefixRejection(loading.prefix, async () => {
    const networks = configured ?? (await clusterNetworks(loading, namespace, await openCluster(loading)));
    return withChain(
      loading.call,
      networks.map((network) => network.plan(undefined)),
      loading.log,
    );
  });

/**
 * What the configuration says itself, when the node is ready.
 *
 * @returns undefined when a cluster network takes the place of the delegates
 */
export async function readyNetworks({
  call,
  scope,
  prefix,
  notReady,
}: Loading): Promise<readonly Network[] | undefined> {
  const read = prefixErrors('Multus: error loading netconf', () => readNetworks(call));
  if (notReady !== undefined) {
    await prefixRejection(prefix, () => waitReady(call.conf.readinessindicatorfile, scope, notReady));
  }
  return read?.map(fixed);
}

/** Loaded by calls that need it only; undefined outside Kubernetes. */
export async function openCluster({ call, scope }: Pick<Loading, 'call' | 'scope'>): Promise<Cluster | undefined> {
  const reached = reachedBy(call.conf, call.env);
  return reached && (await import('./cluster/cluster.ts')).clusterOf(reached, call.conf, scope);
}

/**
 * What ADD refuses, whatever the pod is and the cluster has.
 *
 * @throws CniError
 */
export function refuseUnusable(call: Call<MultusConf>): void {
  if (prefixErrors('Multus: error loading netconf', () => readNetworks(call)) === undefined) {
    const { clusterNetwork, defaultNetworks } = call.conf;
    prefixErrors(UNLOADED, () => [clusterNetwork, ...defaultNetworks].filter(isPath).map(delegateAt));
  }
}

/**
 * The networks that a configuration names by their paths.
 *
 * @throws CniError
 */
export const networksAtPaths = ({ clusterNetwork, defaultNetworks }: MultusConf): readonly JsonObject[] =>
  [clusterNetwork, ...defaultNetworks]
    .filter(isPath)
    .map((path) => JSON.parse(delegateAt(path).list.bytes.toString('utf8')) as JsonObject);

const isPath = (network: string): boolean => network.includes('/');

const UNLOADED = 'failed to get clusterNetwork/defaultNetworks';

/** Does something whose errors get a prefix. */
export function prefixErrors<T>(prefix: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withPrefix(prefix, error);
  }
}

/** The same for what comes later. */
export async function prefixRejection<T>(prefix: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withPrefix(prefix, error);
  }
}

/** @returns undefined when a cluster network takes the place of the delegates */
function readNetworks({ conf, version }: Call<MultusConf>): readonly Delegate[] | undefined {
  parseResult(conf.prevResult, version, 'prevResult');
  if (conf.clusterNetwork !== '') {
    if (conf.auxiliaryCNIChainName !== '' && !isPath(conf.clusterNetwork)) {
      throw chainWithoutPath(conf);
    }
    return undefined;
  }
  if (conf.delegates.length === 0) {
    throw unusable('delegates', conf.delegates, 'is empty, and "clusterNetwork" is not given either');
  }
  if (conf.auxiliaryCNIChainName !== '') {
    throw chainWithoutPath(conf);
  }
  return planDelegates(conf.delegates);
}

/**
 * `clusterNetwork`, and `defaultNetworks` unless the namespace is one of the system's.
 *
 * @throws CniError
 */
export async function clusterNetworks(
  { call }: Pick<Loading, 'call'>,
  namespace: string,
  cluster: Cluster | undefined,
): Promise<readonly Network[]> {
  const { clusterNetwork, defaultNetworks, systemNamespaces } = call.conf;
  const isSystem = (systemNamespaces ?? ['kube-system']).includes(namespace);
  return prefixRejection(UNLOADED, async () => {
    const networks: Network[] = [];
    for (const network of [clusterNetwork, ...(isSystem ? [] : defaultNetworks)]) {
      networks.push(isPath(network) ? fixed(delegateAt(network)) : await namedNetwork(network, call.conf, cluster));
    }
    return networks;
  });
}

/** Without Kubernetes a name can only be that of a file's configuration. */
async function namedNetwork(name: string, conf: MultusConf, cluster: Cluster | undefined): Promise<Network> {
  if (cluster !== undefined) {
    return cluster.named(name);
  }
  const { document, bytes } = confNamed(confDirOf(conf), name);
  return fixed(planDelegate(document, '', bytes));
}

/** After all networks, the auxiliary chain. */
export function withChain(
  { conf, version }: Call<MultusConf>,
  delegates: readonly Delegate[],
  log: Pick<Log, 'error'>,
): readonly Delegate[] {
  const { auxiliaryCNIChainName: name, clusterNetwork } = conf;
  try {
    const chain = name === '' ? undefined : auxiliaryChain(name, clusterNetwork, version);
    return chain === undefined ? delegates : [...delegates, chain];
  } catch (error) {
    // the pod has its networks without it
    log.error(`cannot load auxiliary chain "${name}": ${messageOf(error)}`);
    return delegates;
  }
}

const chainWithoutPath = ({ auxiliaryCNIChainName }: MultusConf): CniError =>
  unusable('auxiliaryCNIChainName', auxiliaryCNIChainName, 'needs "clusterNetwork" to be a path');

const unusable = (key: string, value: unknown, why: string): CniError =>
  new CniError('invalidNetworkConfig', `cannot use "${key}": ${quoted(value)} ${why}`);
