import { formatCidr, masked, parseCidr } from '../../../lib/net/cidr.ts';
import type { SqlRow } from '../../../lib/sys/database.ts';
import { parsePoolKey } from '../names.ts';
import type { Seen } from './claims.ts';
import type { JournalRow } from './journal.ts';

/** The columns of table `held` after the first. */
export const columnsOf = (row: JournalRow): readonly (string | number)[] => [
  row.networkName,
  row.id,
  row.ifname,
  row.range,
  row.key,
  row.rangeText,
  row.podref,
  row.conf,
  row.reservation === undefined ? '' : JSON.stringify(row.reservation),
  row.isSure ? 1 : 0,
];

/** Nothing, when the row makes no sense: the server knows better. */
export function rowOf(row: SqlRow): readonly JournalRow[] {
  const { network, container, interface: ifname, range, key, stored_range: stored, pod, conf } = row;
  const rangeText = String(stored);
  const reservation = String(row['reservation']);
  const seen = reservation === '' ? undefined : seenIn(reservation);
  if (!isRangeOf(rangeText, String(range)) || (reservation !== '' && seen === undefined)) {
    return [];
  }
  return [
    {
      networkName: String(network),
      id: String(container),
      ifname: String(ifname),
      range: String(range),
      key: String(key),
      rangeText,
      podref: String(pod),
      conf: String(conf),
      reservation: seen,
      isSure: row['sure'] === 1,
    },
  ];
}

export function rangesOf(text: string): readonly string[] | undefined {
  const ranges = text === '' ? undefined : parsed(text);
  return Array.isArray(ranges) &&
    ranges.every((range) => typeof range === 'string' && parsePoolKey(range) !== undefined)
    ? ranges
    : undefined;
}

function isRangeOf(text: string, range: string): boolean {
  const [cidr, id] = [parseCidr(text), parsePoolKey(range)];
  return cidr !== undefined && id !== undefined && formatCidr(masked(cidr)) === formatCidr(id.cidr);
}

function seenIn(text: string): Seen | undefined {
  const { uid, version, claimant } = (parsed(text) ?? {}) as Partial<Record<keyof Seen, unknown>>;
  return typeof uid === 'string' && typeof version === 'string' && typeof claimant === 'string'
    ? { uid, version, claimant }
    : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
