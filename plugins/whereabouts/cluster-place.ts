import type { Call } from '../../lib/cni/call.ts';
import type { IpamConf } from './config.ts';
import { type ClusterPlace, confFault, DEFAULT_TIMING, isObjectName, JITTER, type StorePlace } from './place.ts';

/** A Lease has whole seconds: what is beyond is cut off. */
const SECOND_MS = 1000;

type About = Pick<Call<unknown>, 'network' | 'env'>;

/**
 * The place, with what only a cluster's store must know.
 *
 * @throws CniError invalidNetworkConfig naming key and value
 */
export const inCluster = (place: StorePlace, conf: IpamConf, about: About): StorePlace =>
  place.kind === 'file' ? place : { ...place, ...leaseOf(conf), ...slicesOf(conf, about) };

function leaseOf(conf: IpamConf): Pick<ClusterPlace, 'lease'> {
  if (conf.concurrency !== 'lease') {
    return {};
  }
  const durationMs = conf.leader_lease_duration || DEFAULT_TIMING.durationMs;
  const renewMs = conf.leader_renew_deadline || DEFAULT_TIMING.renewMs;
  const retryMs = conf.leader_retry_period || DEFAULT_TIMING.retryMs;
  if (durationMs < SECOND_MS) {
    throw confFault('ipam.leader_lease_duration', `${durationMs}`, 'a Lease has whole seconds, so it is 1000 at least');
  }
  if (retryMs < 1) {
    throw confFault('ipam.leader_retry_period', `${retryMs}`, 'it is not positive');
  }
  if (renewMs >= durationMs) {
    const why = `it is not less than "leader_lease_duration", which is ${durationMs}`;
    throw confFault('ipam.leader_renew_deadline', `${renewMs}`, why);
  }
  if (renewMs <= JITTER * retryMs) {
    const why = `it is not more than ${JITTER} times "leader_retry_period", which is ${retryMs}`;
    throw confFault('ipam.leader_renew_deadline', `${renewMs}`, why);
  }
  return { lease: { durationMs, renewMs, retryMs } };
}

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
