import { CniError, quoted } from '../../lib/cni/errors.ts';
import { type Cidr, contains, formatCidr, lastAddress, networkOf, parseCidr } from '../../lib/net/cidr.ts';
import { bitsOf, formatIp, type Ip, parseIp, sameIp } from '../../lib/net/ip.ts';
import { includes, type Range } from '../../lib/net/range.ts';
import type { Bounds } from './config.ts';

/** A part of a subnet, from which addresses are given. */
export interface AddressRange {
  readonly subnet: Cidr;
  readonly window: Range;
  readonly gateway: Ip | undefined;
}

/** Ranges of one family, of which one address is given. */
export type RangeSet = readonly AddressRange[];

/** A set as it is written. */
export interface WrittenSet {
  /** as messages name it */
  readonly key: string;
  readonly ranges: readonly Bounds[];
  /** the older form: the keys of the range are those of `key` itself */
  readonly isFlat?: boolean;
}

/**
 * Sets of ranges, complete: with bounds and gateways where none are written.
 *
 * @throws CniError invalidNetworkConfig
 */
export function readSets(written: readonly WrittenSet[]): readonly RangeSet[] {
  const sets = written.map(readSet);
  for (const [index, set] of sets.entries()) {
    const other = sets.slice(0, index).findIndex((before) => set.some((range) => overlapWith(range, before)));
    if (other >= 0) {
      const [key, otherKey] = [written[index]?.key ?? '', written[other]?.key];
      throw new CniError(
        'invalidNetworkConfig',
        `cannot use "${key}": range set ${other} overlaps with ${index}, and "${otherKey}" gives the same addresses`,
      );
    }
  }
  return sets;
}

function readSet({ key, ranges, isFlat = false }: WrittenSet): RangeSet {
  const set = ranges.map((bounds, index) => readRange(bounds, isFlat ? key : `${key}[${index}]`));
  const [first] = set;
  if (first === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "${key}": empty range set`);
  }
  for (const [index, range] of set.entries()) {
    if (range.window.family !== first.window.family) {
      throw new CniError('invalidNetworkConfig', `cannot use "${key}": mixed address families`);
    }
    const other = overlapWith(range, set.slice(0, index));
    if (other !== undefined) {
      throw new CniError(
        'invalidNetworkConfig',
        `cannot use "${key}": subnets ${formatRange(other)} and ${formatRange(range)} overlap`,
      );
    }
  }
  return set;
}

function readRange(bounds: Bounds, key: string): AddressRange {
  const fault = (member: keyof Bounds, why: string): CniError =>
    new CniError('invalidNetworkConfig', `cannot use "${key}.${member}": ${quoted(bounds[member])} ${why}`);
  const addressOf = (member: 'rangeStart' | 'rangeEnd' | 'gateway'): Ip | undefined => {
    const ip = parseIp(bounds[member]);
    if (ip === undefined && bounds[member] !== '') {
      throw fault(member, 'is not an IP address');
    }
    return ip;
  };
  const subnet = isMapped(bounds.subnet) ? undefined : parseCidr(bounds.subnet);
  if (subnet === undefined) {
    throw fault('subnet', 'is not a subnet');
  }
  const network = networkOf(subnet);
  if (!sameIp(network, subnet.ip)) {
    throw fault('subnet', `has host bits set: its network address is ${formatIp(network)}`);
  }
  const own = usualBounds(subnet);
  const first = addressOf('rangeStart') ?? own.first;
  if (!contains(subnet, first)) {
    throw fault('rangeStart', `is not in network ${formatCidr(subnet)}`);
  }
  const last = addressOf('rangeEnd') ?? own.last;
  if (!contains(subnet, last)) {
    throw fault('rangeEnd', `is not in network ${formatCidr(subnet)}`);
  }
  if (last.value < first.value) {
    const member = bounds.rangeEnd === '' ? 'rangeStart' : 'rangeEnd';
    throw fault(member, `makes a range without addresses: ${formatIp(first)} to ${formatIp(last)}`);
  }
  const window = { family: network.family, first: first.value, last: last.value };
  return { subnet, window, gateway: addressOf('gateway') ?? own.gateway };
}

/** Of a subnet of one or two addresses all can be given (RFC 3021, RFC 6164), and none is left for a gateway. */
function usualBounds(subnet: Cidr): { readonly first: Ip; readonly last: Ip; readonly gateway: Ip | undefined } {
  const [network, last] = [networkOf(subnet), lastAddress(subnet)];
  const { family } = network;
  if (subnet.prefix > bitsOf(family) - 2) {
    return { first: network, last, gateway: undefined };
  }
  const second = { family, value: network.value + 1n };
  return { first: second, last: family === 4 ? { family, value: last.value - 1n } : last, gateway: second };
}

const overlapWith = ({ window }: AddressRange, others: RangeSet): AddressRange | undefined =>
  others.find(
    ({ window: other }) => other.family === window.family && other.first <= window.last && window.first <= other.last,
  );

/** The range of a set that gives the address. */
export const rangeFor = (set: RangeSet, ip: Ip): AddressRange | undefined =>
  set.find(({ window }) => includes(window, ip));

/** `10.1.0.1-10.1.0.254,10.2.0.1-10.2.0.254`, as the Go plugin says it. */
export const formatSet = (set: RangeSet): string => set.map(formatRange).join(',');

function formatRange({ window: { family, first, last } }: AddressRange): string {
  return [first, last].map((value) => formatIp({ family, value })).join('-');
}

/** `::ffff:10.0.0.0/120` is a network elsewhere; the Go plugin takes none in that form. */
const isMapped = (cidr: string): boolean => cidr.includes(':') && parseCidr(cidr)?.ip.family === 4;
