import { parseCniArgs } from '../../lib/cni/args.ts';
import type { NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError, quoted } from '../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp } from '../../lib/cni/json.ts';
import type { Route } from '../../lib/cni/result.ts';
import type { Version } from '../../lib/cni/versions.ts';
import { parseIp } from '../../lib/net/ip.ts';
import type { HostLocalConf } from './config.ts';
import { folderOf } from './place.ts';
import { type RangeSet, readSets, type WrittenSet } from './ranges.ts';
import { matchRequested, type Requested, readRequested } from './requested.ts';

/** A call's configuration, complete and validated. */
export interface Settings {
  /** of the network */
  readonly folder: string;
  readonly sets: readonly RangeSet[];
  /** the address that is asked of each set */
  readonly requested: readonly (Requested | undefined)[];
  readonly routes: readonly Route[];
  /** path; '' for none */
  readonly resolvConf: string;
}

/**
 * @param options.mayAwaitRanges runtimes give ranges to ADD only: a network that says so may have none yet
 * @throws CniError invalidNetworkConfig, badEnv for CNI_ARGS
 */
export function readSettings(
  call: PodCall<HostLocalConf> | NetworkCall<HostLocalConf>,
  { mayAwaitRanges = false } = {},
): Settings {
  const { conf, network, version } = call;
  const { ipam } = conf;
  if (ipam === undefined) {
    throw new CniError('invalidNetworkConfig', "IPAM config missing 'ipam' key");
  }
  const requested = 'args' in call ? readRequested(conf, parseCniArgs(call.args, ['IP'])) : [];
  const sets = setsOf(conf);
  const isAwaiting = mayAwaitRanges && takesRanges(call.document);
  if (sets.length === 0 && !isAwaiting) {
    const keys = '"ipam.ranges", "ipam.subnet" and "runtimeConfig.ipRanges" are empty';
    throw new CniError('invalidNetworkConfig', `no IP ranges specified: ${keys}`);
  }
  refuseSeveralOfOneFamily(sets, version);
  return {
    folder: folderOf(ipam.dataDir, network),
    sets,
    requested: isAwaiting && sets.length === 0 ? [] : matchRequested(requested, sets),
    routes: ipam.routes,
    resolvConf: ipam.resolvConf,
  };
}

function takesRanges(document: JsonObject): boolean {
  const capabilities = lookUp(document, 'capabilities');
  return isObject(capabilities) && lookUp(capabilities, 'ipRanges') === true;
}

/**
 * All sets of ranges, in the order in which addresses are given.
 *
 * @throws CniError invalidNetworkConfig
 */
export const setsOf = (conf: HostLocalConf): readonly RangeSet[] => readSets(writtenSets(conf));

/** Results of 0.1.0 and 0.2.0 have room for one address of each family. */
function refuseSeveralOfOneFamily(sets: readonly RangeSet[], version: Version): void {
  const counts = [4, 6].map((family) => sets.filter((set) => set[0]?.window.family === family).length);
  if (version < '0.3.0' && counts.some((count) => count > 1)) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "ipam.ranges": CNI version ${version} does not support more than 1 address per family`,
    );
  }
}

/** Those of the runtime come first, then the older form: as with the Go plugin, which numbers them so in its folder. */
function writtenSets({ ipam, runtimeConfig }: HostLocalConf): readonly WrittenSet[] {
  const stray = (['rangeStart', 'rangeEnd', 'gateway'] as const).find((key) => ipam?.[key] && !parseIp(ipam[key]));
  if (ipam !== undefined && stray !== undefined) {
    const fault = `cannot use "ipam.${stray}": ${quoted(ipam[stray])} is not an IP address`;
    throw new CniError('invalidNetworkConfig', fault); // also without a subnet, where nothing else reads it
  }
  const keyed = (key: string, sets: readonly WrittenSet['ranges'][] = []) =>
    sets.map((ranges, index) => ({ key: `${key}[${index}]`, ranges }));
  return [
    ...keyed('runtimeConfig.ipRanges', runtimeConfig?.ipRanges),
    ...(ipam === undefined || ipam.subnet === '' ? [] : [{ key: 'ipam', ranges: [ipam], isFlat: true }]),
    ...keyed('ipam.ranges', ipam?.ranges),
  ];
}
