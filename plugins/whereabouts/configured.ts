import { readConf } from '../../lib/cni/config.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { parseCidrLenient } from '../../lib/net/cidr.ts';
import { type Ip, parseIpLenient } from '../../lib/net/ip.ts';
import { IpamConf } from './config.ts';
import { withFlatFile } from './flat-file.ts';
import { type FilePlace, placeOf } from './place.ts';
import { type ConfiguredRange, readRanges } from './ranges.ts';
import { readStatics } from './statics.ts';
import { ipamsIn } from './stores.ts';
import { type Suspect, suspectsIn } from './suspects.ts';

/** What a configuration says of addresses. */
export interface Addresses {
  readonly ranges: readonly ConfiguredRange[];
  /** addresses that are given as they are, and gateways */
  readonly statics: readonly Ip[];
  readonly suspects: readonly Suspect[];
}

/** What a configuration of this node says of the addresses in one store. */
export interface Configured extends Addresses {
  readonly place: FilePlace;
}

/** What a configuration says of the addresses in a cluster's pools. */
export interface ClusterConfigured extends Addresses {
  /** path; '' where the configuration does not name it, as in objects of the cluster itself */
  readonly kubeconfig: string;
  /** where a node keeps its journal */
  readonly dataDir: string;
  readonly networkName: string;
  readonly protectOverlaps: boolean;
  /** '' without slices */
  readonly sliceSize: string;
}

type Log = (line: string) => void;

/** Configurations with the "file" datastore; one that cannot be used is told. */
export const configuredIn = (confs: readonly JsonObject[], log: Log): readonly Configured[] =>
  each(confs, log, (ipam) => {
    const conf = withFlatFile(IpamConf, readConf(IpamConf, ipam, 'ipam'));
    return conf.datastore === 'file'
      ? [{ place: placeOf(conf.data_dir, conf.network_name), ...addressesOf(conf) }]
      : [];
  });

/** Configurations that lead to a cluster; one that cannot be used is told. */
export const clusterConfiguredIn = (confs: readonly JsonObject[], log: Log): readonly ClusterConfigured[] =>
  each(confs, log, (ipam) => {
    const conf = withFlatFile(IpamConf, readConf(IpamConf, ipam, 'ipam'));
    const kubeconfig = conf.kubernetes?.kubeconfig ?? '';
    return conf.datastore === 'file' || kubeconfig === '' ? [] : [clusterConfigured(conf, kubeconfig)];
  });

/** Configurations that the cluster itself has: whatever they name, they are about its own pools. */
export const configuredInCluster = (confs: readonly JsonObject[], log: Log): readonly ClusterConfigured[] =>
  each(confs, log, (ipam) => {
    const conf = readConf(IpamConf, ipam, 'ipam');
    return conf.datastore === 'file' ? [] : [clusterConfigured(conf, '')];
  });

function each<T>(confs: readonly JsonObject[], log: Log, read: (ipam: JsonObject) => readonly T[]): readonly T[] {
  return ipamsIn(confs).flatMap((ipam) => {
    try {
      return read(ipam);
    } catch (error) {
      log(messageOf(error));
      return [];
    }
  });
}

const clusterConfigured = (conf: IpamConf, kubeconfig: string): ClusterConfigured => ({
  kubeconfig,
  dataDir: placeOf(conf.data_dir, conf.network_name).dataDir,
  networkName: conf.network_name,
  protectOverlaps: conf.enable_overlapping_ranges,
  sliceSize: conf.node_slice_size,
  ...addressesOf(conf),
});

function addressesOf(conf: IpamConf): Addresses {
  const statics = readStatics(conf.addresses, {}, NEWEST);
  const given = statics.flatMap(({ address, gateway }) => [address, gateway]);
  const ranges = readRanges(conf);
  return {
    ranges,
    suspects: suspectsIn({ ...conf, statics }, ranges),
    statics: [...given, conf.gateway].flatMap((text) => (text ? (ipIn(text) ?? []) : [])),
  };
}

const ipIn = (text: string): Ip | undefined => parseCidrLenient(text)?.ip ?? parseIpLenient(text);
