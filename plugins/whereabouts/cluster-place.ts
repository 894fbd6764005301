import type { Call } from '../../lib/cni/call.ts';
import type { IpamConf } from './config.ts';
import { type ClusterPlace, confFault, isObjectName, type StorePlace } from './place.ts';

type About = Pick<Call<unknown>, 'network' | 'env'>;

/**
 * The place, with what only a cluster's store must know.
 *
 * @throws CniError invalidNetworkConfig naming key and value
 */
export const inCluster = (place: StorePlace, conf: IpamConf, about: About): StorePlace =>
  place.kind === 'file' ? place : { ...place, ...slicesOf(conf, about) };

/** Which slice a node has is said by an object that the Go plugin's controller names after the network. */
function slicesOf(conf: IpamConf, { network, env }: About): Pick<ClusterPlace, 'slices'> {
  const { node_slice_size: size, network_name: networkName, configuration_path: folder } = conf;
  if (size === '') {
    return {};
  }
  if (!/^\/?[0-9]{1,3}$/.test(size)) {
    throw confFault('ipam.node_slice_size', size, 'it is not the length of a prefix, such as "/26"');
  }
  const pool = networkName === '' ? network : networkName;
  if (!isObjectName(pool)) {
    const why = 'the NodeSlicePool bears it, but it is not a lower case RFC 1123 name; set "ipam.network_name"';
    throw confFault('name', pool, why);
  }
  return { slices: { pool, nodeName: { env: env['NODENAME'] ?? '', folder } } };
}
