import { contains, formatCidr, lastAddress, networkOf } from '../../lib/net/cidr.ts';
import { usableOf } from '../../lib/net/range.ts';
import type { Configured } from './configured.ts';
import { poolName } from './names.ts';
import type { FilePlace } from './place.ts';
import type { Entry, Pool } from './pool.ts';
import { covers, type Span, sizeOf, subtract, union } from './spans.ts';

/** `partly`: only a cell of several addresses. */
export type State = 'free' | 'taken' | 'partly' | 'excluded' | 'static';

/** A pool as people see it. */
export interface PoolView {
  readonly name: string;
  readonly place: FilePlace;
  readonly pool: Pool;
  /** the whole range */
  readonly span: Span;
  /** what may be handed out */
  readonly allowed: readonly Span[];
  readonly taken: ReadonlyMap<bigint, Entry>;
  /** configured addresses and gateways that nobody holds */
  readonly statics: readonly bigint[];
  readonly counts: Counts;
}

export interface Counts {
  readonly addresses: bigint;
  readonly taken: bigint;
  readonly static: bigint;
  readonly excluded: bigint;
  readonly free: bigint;
}

/** Several configurations may give addresses of one pool, each of a part of it. */
export function viewOf(place: FilePlace, pool: Pool, configured: readonly Configured[]): PoolView {
  const { cidr } = pool;
  const span = { first: networkOf(cidr).value, last: lastAddress(cidr).value };
  const taken = new Map(pool.held.map(({ ip, entry }) => [ip.value, entry]));
  const ranges = configured.flatMap(({ ranges }) => ranges.filter((range) => formatCidr(range.cidr) === pool.range));
  const usable = usableOf(cidr);
  const allowed = union(
    ranges.length === 0 ? [usable ?? span] : ranges.flatMap(({ window, excluded }) => subtract([window], excluded)),
  );
  const all = configured.flatMap(({ statics }) => statics).filter((ip) => contains(cidr, ip));
  const statics = [...new Set(all.map(({ value }) => value))].filter((value) => !taken.has(value));
  return {
    name: poolName(place.networkName, cidr),
    place,
    pool,
    span,
    allowed,
    taken,
    statics,
    counts: countsOf(span, allowed, taken, statics),
  };
}

function countsOf(
  span: Span,
  allowed: readonly Span[],
  taken: ReadonlyMap<bigint, Entry>,
  statics: readonly bigint[],
): Counts {
  const used = [...taken.keys(), ...statics];
  const within = BigInt(used.filter((value) => covers(allowed, value)).length);
  const addresses = sizeOf([span]);
  const free = sizeOf(allowed) - within;
  return {
    addresses,
    taken: BigInt(taken.size),
    static: BigInt(statics.length),
    excluded: addresses - free - BigInt(used.length),
    free,
  };
}

/** What the addresses from one to another are. */
export function stateOf({ allowed, taken, statics }: PoolView, first: bigint, last: bigint): State {
  const within = (value: bigint): boolean => first <= value && value <= last;
  const held = first === last ? (taken.has(first) ? 1 : 0) : [...taken.keys()].filter(within).length;
  const fixed = statics.filter(within);
  const used = [...taken.keys(), ...statics].filter((value) => within(value) && covers(allowed, value)).length;
  const isFree = sizeOf(allowed, first, last) > BigInt(used);
  if (held > 0) {
    return isFree ? 'partly' : 'taken';
  }
  return fixed.length > 0 && (first === last || !isFree) ? 'static' : isFree ? 'free' : 'excluded';
}
