import { nameIn, parseCniArgs } from '../../lib/cni/args.ts';
import type { Call, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { readConf } from '../../lib/cni/config.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp } from '../../lib/cni/json.ts';
import type { Dns, IpConfig, Route } from '../../lib/cni/result.ts';
import { type Ip, parseIpLenient } from '../../lib/net/ip.ts';
import { remembering } from '../../lib/sys/remember.ts';
import { inCluster } from './cluster-place.ts';
import { IpamConf, StoreConf, type WhereaboutsConf } from './config.ts';
import { isFlatFileMissing, SET_FILE, withFlatFile } from './flat-file.ts';
import { hostLocalIn } from './host-local.ts';
import type { LogSettings } from './log.ts';
import { confFault, placeOf, type StorePlace } from './place.ts';
import type { Owner } from './plan.ts';
import { type ConfiguredRange, readRanges } from './ranges.ts';
import { matchRequested, type Requested, readRequested } from './requested.ts';
import { readGateways, readStatics } from './statics.ts';
import { type Suspect, suspectsIn } from './suspects.ts';

/** The arguments that the Go plugin knows; any other needs IgnoreUnknown. */
const KNOWN_ARGS = ['IP', 'GATEWAY', 'K8S_POD_NAME', 'K8S_POD_NAMESPACE', 'K8S_POD_INFRA_CONTAINER_ID'];

/** A call's configuration, resolved and validated. */
export interface Settings {
  readonly place: StorePlace;
  readonly log: LogSettings;
  readonly owner: Owner;
  readonly ranges: readonly ConfiguredRange[];
  readonly protectOverlaps: boolean;
  /** to be reserved in the ranges: those that are only given are among `statics` */
  readonly requested: readonly Requested[];
  /** GATEWAY of CNI_ARGS, for addresses that are requested */
  readonly requestedGateways: readonly Ip[];
  readonly isPodForgotten: boolean;
  readonly isSticky: boolean;
  readonly gateway: Ip | undefined;
  readonly statics: readonly IpConfig[];
  readonly routes: readonly Route[];
  readonly dns: Dns;
  /** what nobody can have meant, though a call goes on with it: one phrase each */
  readonly warnings: readonly string[];
}

/**
 * Resolves the configuration, in the Go plugin's order, which decides the fault that is reported.
 *
 * @throws CniError invalidNetworkConfig, badEnv for CNI_ARGS, ioFailure for a flat file that cannot be read
 */
export function readSettings(call: PodCall<WhereaboutsConf> | NetworkCall<WhereaboutsConf>): Settings {
  const ipam = ipamOf(call.conf.ipam);
  if (ipam.type !== 'whereabouts') {
    throw confFault('ipam.type', ipam.type, "only interested in networks whose IPAM type is 'whereabouts'");
  }
  const about = 'args' in call ? call : NO_ATTACHMENT;
  const args = parseCniArgs(about.args, KNOWN_ARGS);
  const conf = withFlatFile(IpamConf, ipam);
  const ranges = rangesIn(conf);
  const place = inCluster(storeOf(conf), conf, call);
  refuseKeys(place, conf);
  const gateway = readGateway(conf.gateway);
  const isPooled = conf.ip_request_mode === 'pool';
  const requested = isPooled && 'args' in call ? readRequested(call.document, args) : [];
  matchRequested(requested, ranges);
  const statics = readStatics(conf.addresses, isPooled ? { ...args, IP: '' } : args, call.version);
  const foreign = foreignIn(conf);
  if (ranges.length === 0 && statics.length === 0) {
    refuseNothing(call, foreign);
  }
  return {
    place,
    log: conf,
    owner: { id: about.containerId, podref: podrefOf(args), ifname: about.ifName, network: call.network },
    ranges,
    protectOverlaps: conf.enable_overlapping_ranges,
    requested,
    requestedGateways: isPooled ? readGateways(args) : [],
    isPodForgotten: conf.reuse_policy === 'none',
    isSticky: conf.sticky,
    gateway,
    statics,
    routes: conf.routes,
    dns: conf.dns,
    warnings: [...foreign, ...suspicions(conf, statics).map(({ text }) => text)],
  };
}

/** What follows from a configuration alone is the same for all pods. */
const rangesIn = remembering(readRanges);
const foreignIn = remembering(hostLocalIn);
const suspectsOf = remembering((conf: IpamConf) => suspectsIn({ ...conf, statics: [] }, rangesIn(conf)));
const suspicions = (conf: IpamConf, statics: Settings['statics']): readonly Suspect[] =>
  statics.length === 0 ? suspectsOf(conf) : suspectsIn({ ...conf, statics }, rangesIn(conf));

/** Of STATUS and GC. */
const NO_ATTACHMENT = { args: '', containerId: '', ifName: '' };

/** CNI_ARGS may name an address for one pod, but STATUS and GC are about none, and have no CNI_ARGS. */
function refuseNothing({ verb }: Call<unknown>, foreign: readonly string[]): void {
  if (foreign.length > 0 || !['STATUS', 'GC'].includes(verb)) {
    const why = 'there is no address to give: "range", "ipRanges" and "addresses" are empty, and CNI_ARGS have no IP';
    throw confFault('ipam.range', '', [why, ...foreign].join('; '));
  }
}

/** What DEL needs to know. */
export interface PlaceSettings {
  readonly place: StorePlace;
  readonly log: LogSettings;
  readonly warnings: readonly string[];
  /** where a cluster's pools would be asked; undefined: nobody knows */
  readonly ranges: readonly ConfiguredRange[] | undefined;
}

/**
 * What DEL needs: where the store is. Whatever else is wrong with the configuration by now, the addresses come back: a
 * flat file that has gone since ADD is passed over.
 *
 * @throws CniError
 */
export function readPlace(document: JsonObject, about: About = { env: {}, network: '' }): PlaceSettings {
  const ipam = lookUp(document, 'ipam');
  const own = storeConfIn(ipamOf(isObject(ipam) ? ipam : undefined));
  const isMissing = isFlatFileMissing(own);
  const conf = withFlatFile(StoreConf, isMissing ? { ...own, configuration_path: '' } : own);
  const place = storeOf(conf);
  const where = place.kind === 'file' ? `"${place.dataDir}"` : 'the cluster';
  const warning = `flat file "${own.configuration_path}" is missing: addresses are freed in ${where}`;
  const known = place.kind === 'file' ? { place, ranges: undefined } : clusterIn(document, place, about);
  return { ...known, log: conf, warnings: isMissing ? [warning] : [] };
}

const storeConfIn = remembering((ipam: JsonObject) => readConf(StoreConf, ipam, 'ipam'));

type About = Pick<Call<unknown>, 'env' | 'network'>;

/** What is known of a cluster's store by a configuration that may have any fault by now. */
function clusterIn(document: JsonObject, place: StorePlace, about: About): Pick<PlaceSettings, 'place' | 'ranges'> {
  try {
    const ipam = lookUp(document, 'ipam');
    const conf = withFlatFile(IpamConf, readConf(IpamConf, ipamOf(isObject(ipam) ? ipam : undefined), 'ipam'));
    return { ranges: readRanges(conf), place: inCluster(place, conf, about) };
  } catch {
    return { place, ranges: undefined };
  }
}

function ipamOf<T>(ipam: T | undefined): T {
  if (ipam === undefined) {
    throw new CniError('invalidNetworkConfig', "IPAM config missing 'ipam' key");
  }
  return ipam;
}

function storeOf(conf: StoreConf): StorePlace {
  const place = placeOf(conf.data_dir, conf.network_name);
  if (conf.datastore === 'file') {
    return place;
  }
  const kubeconfig = conf.kubernetes?.kubeconfig ?? '';
  if (kubeconfig === '') {
    throw new CniError(
      'invalidNetworkConfig',
      'you have not configured the storage engine: ' +
        `neither "ipam.datastore" is "file" nor "ipam.kubernetes.kubeconfig" is set; ${SET_FILE}`,
    );
  }
  return { ...place, kind: 'kubernetes', kubeconfig, concurrency: conf.concurrency === '' ? 'cas' : conf.concurrency };
}

function refuseKeys(place: StorePlace, conf: IpamConf): void {
  // A configuration that a cluster shares must never split its pool between the cluster and this node.
  const kubeconfig = conf.kubernetes?.kubeconfig ?? '';
  if (place.kind === 'file' && kubeconfig !== '') {
    throw confFault(
      'ipam.datastore',
      'file',
      `"ipam.kubernetes.kubeconfig" is "${kubeconfig}" as well, and addresses are kept in one place only`,
    );
  }
  if (place.kind === 'file' && conf.node_slice_size !== '') {
    throw confFault('ipam.node_slice_size', conf.node_slice_size, 'the "file" datastore has no slices');
  }
}

function readGateway(text: string): Ip | undefined {
  const gateway = parseIpLenient(text);
  if (gateway === undefined && text !== '') {
    throw confFault('ipam.gateway', text, "couldn't parse gateway IP");
  }
  return gateway;
}

function podrefOf(args: Readonly<Record<string, string>>): string {
  const [namespace, name] = [nameIn(args, 'K8S_POD_NAMESPACE'), nameIn(args, 'K8S_POD_NAME')];
  return name === '' ? '' : `${namespace}/${name}`;
}
