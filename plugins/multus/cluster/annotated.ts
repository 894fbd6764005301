import { CniError, withPrefix } from '../../../lib/cni/errors.ts';
import type { MultusConf } from '../config.ts';
import type { Network } from '../network.ts';
import { multusNamespaceOf } from '../places.ts';
import { definedNetwork } from './defined.ts';
import type { Definitions } from './definitions.ts';
import { ANNOTATIONS, type PodObject } from './objects.ts';
import { type NetworkSelection, parseSelections } from './selection.ts';

/** What a pod's annotations ask for. */
export interface Annotated {
  /** in place of the first network of the configuration */
  readonly first: Network | undefined;
  /** after all others */
  readonly more: readonly Network[];
}

/**
 * The networks that a pod asks for. All are fetched at the same time.
 *
 * @throws CniError when an annotation cannot be read, names what is not there, or what the pod may not have
 */
export async function annotatedNetworks(
  { metadata }: PodObject,
  conf: MultusConf,
  definitions: Definitions,
): Promise<Annotated> {
  const { namespace = '', annotations = {} } = metadata;
  const { [ANNOTATIONS.defaultNetwork]: wanted, [ANNOTATIONS.networks]: list = '' } = annotations;
  const open = openNamespaces(conf, namespace);
  const selections = list === '' ? [] : parseSelections(list, namespace);
  for (const selection of selections) {
    refuseForeign(conf, namespace, selection, open);
  }
  for (const { namespace: place, name } of selections) {
    definitions.prefetch(place, name);
  }
  const first = wanted === undefined ? undefined : await firstNetwork(wanted, namespace, conf, definitions);
  const more: Network[] = [];
  for (const selection of selections) {
    more.push(await defined(selection, conf, definitions));
  }
  return { first, more };
}

const defined = async (
  selection: NetworkSelection,
  { namespaceIsolation, isolateDevices }: MultusConf,
  definitions: Definitions,
): Promise<Network> => {
  const network = definedNetwork(await definitions.get(selection.namespace, selection.name), selection);
  return namespaceIsolation && isolateDevices ? withoutForeignDevice(network, selection) : network;
};

/** A device that nobody has given to the pod may be anybody's. */
const withoutForeignDevice = (network: Network, { namespace, name, requests }: NetworkSelection): Network => ({
  ...network,
  plan: (deviceId) => {
    if (deviceId === undefined && requests.deviceId !== undefined) {
      const what = `device "${requests.deviceId}" for network "${namespace}/${name}": the pod was given none for it`;
      throw new CniError('invalidNetworkConfig', `${VIOLATION}: cannot use ${what}`);
    }
    return network.plan(deviceId);
  },
});

async function firstNetwork(
  annotation: string,
  namespace: string,
  conf: MultusConf,
  definitions: Definitions,
): Promise<Network> {
  try {
    const common = multusNamespaceOf(conf);
    const selections = annotation === '' ? [] : parseSelections(annotation, common);
    const [only] = selections;
    if (only === undefined || selections.length > 1) {
      const count = only === undefined ? 'no network' : `${selections.length} networks`;
      const key = ANNOTATIONS.defaultNetwork;
      throw new CniError('invalidNetworkConfig', `cannot use annotation "${key}": it names ${count}`);
    }
    if (conf.isolateDefaultNetwork) {
      refuseForeign(conf, namespace, only, [...openNamespaces(conf, namespace), common]);
    }
    return await defined(only, conf, definitions);
  } catch (error) {
    throw withPrefix('error in loading K8s cluster default network from pod annotation', error); // words that users know
  }
}

/** Others look for it. */
const VIOLATION = 'namespace isolation enabled, annotation violates permission';

/** Namespaces whose networks a pod may have. */
const openNamespaces = ({ globalNamespaces }: MultusConf, namespace: string): readonly string[] => [
  namespace,
  ...(globalNamespaces === '' ? ['default'] : globalNamespaces.split(',').map((one) => one.trim())),
];

function refuseForeign(
  { namespaceIsolation }: MultusConf,
  namespace: string,
  { namespace: wanted, name }: NetworkSelection,
  open: readonly string[],
): void {
  if (namespaceIsolation && !open.includes(wanted)) {
    const what = `network "${wanted}/${name}" for a pod in "${namespace}"`;
    throw new CniError('invalidNetworkConfig', `${VIOLATION}: cannot use ${what}`);
  }
}
