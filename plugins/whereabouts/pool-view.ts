import { contains, formatCidr, lastAddress, networkOf } from '../../lib/net/cidr.ts';
import type { Ip } from '../../lib/net/ip.ts';
import { usableOf } from '../../lib/net/range.ts';
import { poolName } from './names.ts';
import { type FilePlace, placeKey } from './place.ts';
import type { Entry, Pool } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';
import { covers, type Span, sizeOf, subtract, union } from './spans.ts';

/** `partly`: only a cell of several addresses. */
export type State = 'free' | 'taken' | 'partly' | 'excluded' | 'static';

/** Where a pool is, as people see it. */
export type ViewPlace = FilePlace | ClusterView;

export interface ClusterView {
  readonly kind: 'kubernetes';
  /** path of a kubeconfig that leads there, or words for the cluster that the program runs in */
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly networkName: string;
  /** whose slice of a range it is; '' for a whole range */
  readonly node: string;
}

/** The same for pools of one network: an address that is held in two of them is held twice. */
export const viewKey = (place: ViewPlace): string =>
  place.kind === 'file' ? placeKey(place) : JSON.stringify([place.kubeconfig, place.namespace, place.networkName]);

/** What is configured for pools of one network. */
export interface ConfiguredAddresses {
  readonly ranges: readonly ConfiguredRange[];
  readonly statics: readonly Ip[];
}

/** A pool as people see it. */
export interface PoolView {
  readonly name: string;
  readonly place: ViewPlace;
  readonly pool: Pool;
  /** the whole range */
  readonly span: Span;
  /** what may be handed out */
  readonly allowed: readonly Span[];
  readonly taken: ReadonlyMap<bigint, Entry>;
  /** configured addresses and gateways that nobody holds */
  readonly statics: readonly bigint[];
  readonly counts: Counts;
  /** lowest first, for pictures of many cells */
  readonly sorted: Sorted;
}

interface Sorted {
  readonly taken: readonly bigint[];
  readonly statics: readonly bigint[];
  /** of both, those that may be handed out */
  readonly used: readonly bigint[];
}

export interface Counts {
  readonly addresses: bigint;
  readonly taken: bigint;
  readonly static: bigint;
  readonly excluded: bigint;
  readonly free: bigint;
}

/**
 * Several configurations may give addresses of one pool, each of a part of it; a slice gets what its range says.
 *
 * @param name undefined: that of its range
 */
export function viewOf(
  place: ViewPlace,
  pool: Pool,
  configured: readonly ConfiguredAddresses[],
  name = poolName(place.networkName, pool.cidr),
): PoolView {
  const { cidr } = pool;
  const span = { first: networkOf(cidr).value, last: lastAddress(cidr).value };
  const taken = new Map(pool.held.map(({ ip, entry }) => [ip.value, entry]));
  const usable = usableOf(cidr) ?? span;
  const isSlice = place.kind === 'kubernetes' && place.node !== '';
  const ranges = configured.flatMap((one) =>
    one.ranges.filter((range) => (isSlice ? contains(range.cidr, cidr.ip) : formatCidr(range.cidr) === pool.range)),
  );
  const windowOf = ({ window }: ConfiguredRange): readonly Span[] => (isSlice ? common(window, usable) : [window]);
  const allowed = union(
    ranges.length === 0 ? [usable] : ranges.flatMap((range) => subtract(windowOf(range), range.excluded)),
  );
  const all = configured.flatMap(({ statics }) => statics).filter((ip) => contains(cidr, ip));
  const statics = [...new Set(all.map(({ value }) => value))].filter((value) => !taken.has(value));
  const sorted = sortedOf(allowed, taken, statics);
  return { name, place, pool, span, allowed, taken, statics, sorted, counts: countsOf(span, allowed, sorted) };
}

const common = (one: Span, other: Span): readonly Span[] => {
  const first = one.first > other.first ? one.first : other.first;
  const last = one.last < other.last ? one.last : other.last;
  return first <= last ? [{ first, last }] : [];
};

function sortedOf(allowed: readonly Span[], taken: PoolView['taken'], statics: readonly bigint[]): Sorted {
  const sorted = { taken: inOrder([...taken.keys()]), statics: inOrder(statics) };
  const used = inOrder([...sorted.taken, ...sorted.statics]).filter((value) => covers(allowed, value));
  return { ...sorted, used };
}

const inOrder = (values: readonly bigint[]): readonly bigint[] =>
  [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));

function countsOf(span: Span, allowed: readonly Span[], { taken, statics, used }: Sorted): Counts {
  const addresses = sizeOf([span]);
  const free = sizeOf(allowed) - BigInt(used.length);
  return {
    addresses,
    taken: BigInt(taken.length),
    static: BigInt(statics.length),
    excluded: addresses - free - BigInt(taken.length + statics.length),
    free,
  };
}

/** What the addresses from one to another are. */
export function stateOf({ allowed, sorted }: PoolView, first: bigint, last: bigint): State {
  const held = countIn(sorted.taken, first, last);
  const fixed = countIn(sorted.statics, first, last);
  const isFree = sizeOf(allowed, first, last) > BigInt(countIn(sorted.used, first, last));
  if (held > 0) {
    return isFree ? 'partly' : 'taken';
  }
  return fixed > 0 && (first === last || !isFree) ? 'static' : isFree ? 'free' : 'excluded';
}

const countIn = (sorted: readonly bigint[], first: bigint, last: bigint): number =>
  placeIn(sorted, last + 1n) - placeIn(sorted, first);

/** How many are lower. */
function placeIn(sorted: readonly bigint[], value: bigint): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as bigint) < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
