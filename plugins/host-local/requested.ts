import { badArg } from '../../lib/cni/args.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { parseCidr } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, parseIp, sameIp } from '../../lib/net/ip.ts';
import type { HostLocalConf } from './config.ts';
import { formatSet, type RangeSet, rangeFor } from './ranges.ts';

/** An address that was asked for. */
export interface Requested {
  readonly ip: Ip;
  /** what asks for it, as messages name it */
  readonly source: string;
}

const IN_ARGS = 'IP of CNI_ARGS';

/**
 * The addresses that are asked for in IP of CNI_ARGS, `args.cni.ips` and `runtimeConfig.ips`, each once: all of them count,
 * and runtimes say the same in several places.
 *
 * @throws CniError badEnv for CNI_ARGS, invalidNetworkConfig
 */
export function readRequested(conf: HostLocalConf, args: Readonly<Record<string, string>>): readonly Requested[] {
  const ofArgs = args['IP'] ?? '';
  const all = [
    ...(ofArgs === '' ? [] : [{ ip: ipIn(ofArgs), text: ofArgs, source: IN_ARGS }]),
    ...Object.entries({ 'args.cni.ips': conf.args?.cni?.ips, 'runtimeConfig.ips': conf.runtimeConfig?.ips }).flatMap(
      ([key, texts = []]) => texts.map((text) => ({ ip: ipIn(text), text, source: `"${key}"` })),
    ),
  ].map(({ ip, text, source }) => {
    if (ip === undefined) {
      throw source === IN_ARGS
        ? badArg('IP', text, 'is not an IP address')
        : new CniError('invalidNetworkConfig', `cannot use ${source}: "${text}" is not an IP address`);
    }
    return { ip, source };
  });
  return all.filter(({ ip }, index) => all.findIndex((one) => sameIp(one.ip, ip)) === index);
}

const ipIn = (text: string): Ip | undefined => (text.includes('/') ? parseCidr(text)?.ip : parseIp(text));

/**
 * The address that is asked of each set; undefined where none is.
 *
 * @throws CniError badEnv or invalidNetworkConfig, by who asks, for an address that no set gives, or that a set does not
 * give beside another one
 */
export function matchRequested(
  requested: readonly Requested[],
  sets: readonly RangeSet[],
): readonly (Requested | undefined)[] {
  const matched = sets.map((set) => requested.find(({ ip }) => rangeFor(set, ip) !== undefined));
  for (const one of requested) {
    const at = sets.findIndex((set) => rangeFor(set, one.ip) !== undefined);
    const [set = [], taken] = [sets[at], matched[at]];
    if (at < 0) {
      throw refusal(one, `no range has it: they are ${sets.map(formatSet).join(' and ')}`);
    }
    if (taken !== undefined && taken !== one) {
      const other = `${formatIp(taken.ip)}, which ${taken.source} asks for`;
      throw refusal(one, `range set ${at} gives one address, and ${other}, is of it too`);
    }
    const gateway = rangeFor(set, one.ip)?.gateway;
    if (gateway !== undefined && sameIp(gateway, one.ip)) {
      throw refusal(one, "it is the subnet's gateway");
    }
  }
  return matched;
}

function refusal({ ip, source }: Requested, why: string): CniError {
  const code = source === IN_ARGS ? 'badEnv' : 'invalidNetworkConfig';
  return new CniError(code, `cannot give ${formatIp(ip)}, which ${source} asks for: ${why}`);
}
