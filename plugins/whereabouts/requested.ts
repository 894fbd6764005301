import { badArg } from '../../lib/cni/args.ts';
import { CniError, quoted } from '../../lib/cni/errors.ts';
import { isObject, type Json, type JsonObject, lookUp } from '../../lib/cni/json.ts';
import { formatCidr, parseCidrLenient } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, parseIpLenient } from '../../lib/net/ip.ts';
import { includes } from '../../lib/net/range.ts';
import { confFault } from './place.ts';
import type { ConfiguredRange } from './ranges.ts';

/** An address that was asked for, to be reserved in the range that has it. */
export interface Requested {
  readonly ip: Ip;
  /** what asks for it, as messages name it */
  readonly source: string;
}

const IN_ARGS = 'IP of CNI_ARGS';
const IN_CONF = [
  ['args', 'cni', 'ips'],
  ['runtimeConfig', 'ips'],
];

/**
 * Addresses that are asked for in IP of CNI_ARGS, `args.cni.ips` and `runtimeConfig.ips`, each once: runtimes say the same
 * in several places. A prefix length is that of the range anyway.
 *
 * @throws CniError badEnv for CNI_ARGS, invalidNetworkConfig
 */
export function readRequested(document: JsonObject, args: Readonly<Record<string, string>>): readonly Requested[] {
  const ofArgs = (args['IP'] ?? '').split(',').filter((text) => text !== '');
  const all = [
    ...ofArgs.map((text) => {
      const ip = ipIn(text.trim());
      if (ip === undefined) {
        throw badArg('IP', text, 'is not an IP address');
      }
      return { ip, source: IN_ARGS };
    }),
    ...IN_CONF.flatMap((path) => requestedAt(document, path)),
  ];
  return [...new Map(all.toReversed().map((one) => [formatIp(one.ip), one])).values()].reverse();
}

function requestedAt(document: JsonObject, path: readonly string[]): readonly Requested[] {
  const key = path.join('.');
  const value = path.reduce<Json | undefined>(
    (here, name) => (isObject(here) ? lookUp(here, name) : undefined),
    document,
  );
  const texts = value ?? [];
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string')) {
    throw new CniError('invalidNetworkConfig', `cannot use "${key}": ${quoted(value)} is not a list of strings`);
  }
  return texts.map((text) => {
    const ip = ipIn(text);
    if (ip === undefined) {
      throw confFault(key, text, 'it is not an IP address');
    }
    return { ip, source: `"${key}"` };
  });
}

const ipIn = (text: string): Ip | undefined => parseCidrLenient(text)?.ip ?? parseIpLenient(text);

/**
 * Which range each address is to be reserved in: one that would give it, and each range gives one. Where several would,
 * they are matched so that none is left over, if that can be.
 *
 * @returns by range
 * @throws CniError badEnv or invalidNetworkConfig, by who asks, for an address that no range gives
 */
export function matchRequested(
  requested: readonly Requested[],
  ranges: readonly ConfiguredRange[],
): readonly (Requested | undefined)[] {
  const matched: (Requested | undefined)[] = ranges.map(() => undefined);
  // An augmenting path: who has the range already takes another one, if there is one.
  const place = (one: Requested, seen: Set<number>): boolean =>
    ranges.some((range, at) => {
      if (seen.has(at) || !gives(range, one.ip)) {
        return false;
      }
      seen.add(at);
      const other = matched[at];
      if (other !== undefined && !place(other, seen)) {
        return false;
      }
      matched[at] = one;
      return true;
    });
  for (const one of requested) {
    if (!place(one, new Set())) {
      throw refusal(one, whyNot(one.ip, ranges));
    }
  }
  return matched;
}

const gives = ({ window, excluded }: ConfiguredRange, ip: Ip): boolean =>
  includes(window, ip) && !excluded.some((part) => includes(part, ip));

function whyNot(ip: Ip, ranges: readonly ConfiguredRange[]): string {
  const [first] = ranges.filter(({ window }) => includes(window, ip));
  if (ranges.some((range) => gives(range, ip))) {
    return `each range gives one address, and others are asked of "${formatCidr(first?.cidr ?? { ip, prefix: 0 })}" too`;
  }
  if (first !== undefined) {
    return `range "${formatCidr(first.cidr)}" excludes it`;
  }
  const windows = ranges.map(({ window: { family, first: from, last } }) =>
    [from, last].map((value) => formatIp({ family, value })).join(' to '),
  );
  return `no range gives it${windows.length === 0 ? '' : `: they have ${windows.join(', ')}`}`;
}

function refusal({ ip, source }: Requested, why: string): CniError {
  const code = source === IN_ARGS ? 'badEnv' : 'invalidNetworkConfig';
  return new CniError(code, `cannot give ${formatIp(ip)}, which ${source} asks for: ${why}`);
}
