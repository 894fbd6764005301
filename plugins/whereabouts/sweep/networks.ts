import { readConf } from '../../../lib/cni/config.ts';
import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp } from '../../../lib/cni/json.ts';
import type { CollectionPath, KubeObject } from '../../../lib/kube/api.ts';
import { type Cidr, contains, networkOf } from '../../../lib/net/cidr.ts';
import type { Ip } from '../../../lib/net/ip.ts';
import { includes } from '../../../lib/net/range.ts';
import type { StoredPool } from '../cluster/stored-pool.ts';
import { IpamConf } from '../config.ts';
import { withFlatFile } from '../flat-file.ts';
import { networkNameOf, poolName } from '../names.ts';
import { type ConfiguredRange, readRanges } from '../ranges.ts';
import { ipamsIn } from '../stores.ts';
import { sliceSizeIn } from './slice-plan.ts';

/** NetworkAttachmentDefinition */
export interface NadObject extends KubeObject {
  readonly spec?: { readonly config?: string };
}

export const ALL_NADS: CollectionPath = {
  resource: { group: 'k8s.cni.cncf.io', version: 'v1', plural: 'network-attachment-definitions' },
  namespace: undefined,
};

/** A network of the cluster whose addresses are in its pools. */
export interface ClusterNetwork {
  /** `namespace/name` of its NetworkAttachmentDefinition */
  readonly nad: string;
  /** `name` of its configuration */
  readonly confName: string;
  readonly networkName: string;
  readonly ranges: readonly ConfiguredRange[];
  readonly protectOverlaps: boolean;
  /** `/26` or `26`; '' without slices for nodes */
  readonly sliceSize: string;
}

const nadRef = ({ metadata: { namespace = '', name } }: KubeObject): string => `${namespace}/${name}`;

/**
 * The network of a NetworkAttachmentDefinition. Of a list of plugins, the one whose addresses come from whereabouts counts,
 * wherever it is.
 *
 * @param flatFiles of the nodes, as they are seen from here
 * @returns undefined when its addresses are not in the cluster's pools
 * @throws CniError when nobody can tell what it means
 */
export function clusterNetwork(nad: NadObject, flatFiles: readonly string[] = []): ClusterNetwork | undefined {
  const text = nad.spec?.config ?? '';
  if (text.trim() === '') {
    return undefined; // it names a file of the nodes
  }
  try {
    const document: unknown = JSON.parse(text);
    return isObject(document as never) ? networkIn(nadRef(nad), document as JsonObject, flatFiles) : undefined;
  } catch (error) {
    throw new CniError('invalidNetworkConfig', `cannot use network "${nadRef(nad)}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function networkIn(nad: string, document: JsonObject, flatFiles: readonly string[]): ClusterNetwork | undefined {
  const plugins = lookUp(document, 'plugins');
  const all = Array.isArray(plugins) ? plugins.filter((one): one is JsonObject => isObject(one)) : [document];
  const plugin = all.find((one) => ipamsIn([one]).length > 0);
  const [own] = plugin === undefined ? [] : ipamsIn([plugin]);
  if (plugin === undefined || own === undefined) {
    return undefined;
  }
  const conf = filled(readConf(IpamConf, own, 'ipam'), flatFiles);
  if (conf.datastore === 'file') {
    return undefined;
  }
  // The plugin gets the name of the list.
  const name = lookUp(document, 'name') ?? lookUp(plugin, 'name');
  return {
    nad,
    confName: typeof name === 'string' ? name : '',
    networkName: conf.network_name,
    ranges: readRanges(conf),
    protectOverlaps: conf.enable_overlapping_ranges,
    sliceSize: conf.node_slice_size,
  };
}

/** The nodes' flat file is theirs: what it says of the store is of no use here, and it need not be there. */
function filled(conf: IpamConf, flatFiles: readonly string[]): IpamConf {
  const { kubernetes, ...rest } = conf;
  const own = { ...rest, configuration_path: '', kubernetes: { kubeconfig: '-', k8s_api_root: '', ...kubernetes } };
  return withFlatFile(IpamConf, own as IpamConf, flatFiles);
}

/** What the networks of all definitions are, and what is wrong with others. */
export function networksOf(
  nads: readonly NadObject[],
  flatFiles: readonly string[] = [],
): { readonly networks: readonly ClusterNetwork[]; readonly faults: readonly string[] } {
  const networks: ClusterNetwork[] = [];
  const faults: string[] = [];
  for (const nad of nads) {
    try {
      const network = clusterNetwork(nad, flatFiles);
      if (network !== undefined) {
        networks.push(network);
      }
    } catch (error) {
      faults.push(messageOf(error));
    }
  }
  return { networks, faults };
}

/** Does a pool hold addresses of a range of the network? In slices the pool's name also has that of a node. */
export function isPoolOf({ name, cidr }: Pick<StoredPool, 'name' | 'cidr'>, network: ClusterNetwork): boolean {
  const prefix = networkNameOf(name, cidr);
  if (network.sliceSize === '') {
    return network.ranges.some((range) => poolName(network.networkName, range.cidr) === name);
  }
  const isNamed = network.networkName === '' ? prefix !== '' : prefix?.startsWith(`${network.networkName}-`);
  return (
    isNamed === true &&
    network.ranges.some(
      (range) => isWithin(range.cidr, cidr) && cidr.prefix === sliceSizeIn(network.sliceSize, range.cidr),
    )
  );
}

const isWithin = (outer: Cidr, inner: Cidr): boolean =>
  inner.prefix >= outer.prefix && contains(outer, networkOf(inner));

/** May the network have given out this address? */
export const mayGive = ({ ranges }: ClusterNetwork, ip: Ip): boolean =>
  ranges.some(({ window, excluded }) => includes(window, ip) && !excluded.some((range) => includes(range, ip)));
