import { type Cidr, contains, formatCidr, masked, parseCidr, parseCidrLenient } from '../../lib/net/cidr.ts';
import { bitsOf, formatIp, type Ip, parseIp, parseIpLenient } from '../../lib/net/ip.ts';
import { narrow, type Range, rangeOf, usableOf } from '../../lib/net/range.ts';
import type { IpamConf } from './config.ts';
import { hostLocalIn } from './host-local.ts';
import { confFault } from './place.ts';

/** A range of the configuration, ready to be allocated from. */
export interface ConfiguredRange {
  /** names the pool: the network, without host bits */
  readonly cidr: Cidr;
  /** whose slice of a range it is; absent: a range for all nodes */
  readonly node?: string;
  /** what may be handed out, before exclusions */
  readonly window: Range;
  readonly excluded: readonly Range[];
  /** exclusions as they were written, for messages */
  readonly excludedTexts: readonly string[];
  /** bounds that lie outside of the range and so have no effect, for the log */
  readonly ignored: readonly string[];
}

type Bounds = IpamConf['ipRanges'][number];

/**
 * The ranges in the order in which addresses are given: `range` first, then `ipRanges`.
 *
 * @throws CniError invalidNetworkConfig naming key and value
 */
export function readRanges(conf: IpamConf): readonly ConfiguredRange[] {
  return [
    ...(conf.range === '' ? [] : [readRange(conf, 'ipam', parseIpLenient)]),
    ...conf.ipRanges.map((bounds, index) => readRange(bounds, `ipam.ipRanges[${index}]`, parseIp)),
  ];
}

function readRange(bounds: Bounds, where: string, parseBound: (text: string) => Ip | undefined): ConfiguredRange {
  const boundOf = (key: 'range_start' | 'range_end') => readBound(bounds[key], `${where}.${key}`, parseBound);
  const [wantedStart, wantedEnd] = [boundOf('range_start'), boundOf('range_end')];
  if (bounds.range === '') {
    throw confFault(`${where}.range`, '', ['it is empty', ...hostLocalIn(bounds)].join('; '));
  }
  const { cidr, start = wantedStart, end = wantedEnd } = readForm(bounds.range, `${where}.range`);
  refuseReversed(
    start,
    end,
    start === wantedStart ? [`${where}.range_start`, bounds.range_start] : [`${where}.range`, bounds.range],
  );
  const usable = usableOf(cidr);
  if (usable === undefined) {
    throw confFault(
      `${where}.range`,
      bounds.range,
      `net mask is too short, subnet ${formatCidr(cidr)} has no usable IP addresses`,
    );
  }
  const window = narrow(usable, start, end);
  return {
    cidr,
    window,
    excluded: bounds.exclude.map((text, index) => readExclusion(text, `${where}.exclude[${index}]`)),
    excludedTexts: bounds.exclude,
    ignored: [
      ...(start === undefined || start.value === window.first ? [] : [`start ${formatIp(start)}`]),
      ...(end === undefined || end.value === window.last ? [] : [`end ${formatIp(end)}`]),
    ],
  };
}

/** The lowest address of a window that ends before it begins would be given to nobody, and all above it to somebody. */
function refuseReversed(start: Ip | undefined, end: Ip | undefined, [key, value]: readonly [string, string]): void {
  if (start !== undefined && end !== undefined && start.family === end.family && start.value > end.value) {
    throw confFault(key, value, `${formatIp(start)} lies after the end, ${formatIp(end)}`);
  }
}

/** `network/prefix`, or `first-last/prefix`, which is split at the first "-" and not trimmed. */
function readForm(text: string, key: string): { cidr: Cidr; start?: Ip; end?: Ip } {
  const dash = text.indexOf('-');
  if (dash < 0) {
    return { cidr: masked(readCidr(text, text, key)) };
  }
  const [left, right] = [text.slice(0, dash), text.slice(dash + 1)];
  const start = parseIpLenient(left);
  if (start === undefined) {
    throw confFault(key, text, `invalid range start IP: "${left}"`);
  }
  const last = readCidr(right, text, key);
  if (!contains(last, start)) {
    throw confFault(key, text, `invalid range start for CIDR ${formatCidr(masked(last))}: ${formatIp(start)}`);
  }
  return { cidr: masked(last), start, end: last.ip };
}

function readCidr(text: string, whole: string, key: string): Cidr {
  const cidr = parseCidrLenient(text);
  if (cidr === undefined) {
    throw confFault(key, whole, `invalid CIDR ${text}`);
  }
  return cidr;
}

function readBound(text: string, key: string, parse: (text: string) => Ip | undefined): Ip | undefined {
  if (text === '') {
    return undefined;
  }
  const ip = parse(text);
  if (ip === undefined) {
    throw confFault(key, text, 'it is not an IP address');
  }
  return ip;
}

function readExclusion(text: string, key: string): Range {
  const ip = parseIp(text);
  const cidr = ip === undefined ? parseCidr(text) : { ip, prefix: bitsOf(ip.family) };
  if (cidr === undefined) {
    throw confFault(key, text, 'could not parse exclude range');
  }
  return rangeOf(cidr);
}
