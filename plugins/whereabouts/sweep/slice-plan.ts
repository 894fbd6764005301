import { type Cidr, contains, formatCidr, masked, networkOf, overlaps, parseCidr } from '../../../lib/net/cidr.ts';
import { bitsOf, type Ip } from '../../../lib/net/ip.ts';
import type { Range } from '../../../lib/net/range.ts';

/** As NodeSlicePool objects have it; `nodeName` '': nobody. */
export interface Allocation {
  readonly nodeName: string;
  readonly sliceRange: string;
}

export interface SliceWish {
  readonly range: Cidr;
  /** length of a slice's prefix */
  readonly size: number;
  /** what may be given out: slices that have nothing of it are of no use */
  readonly window: Range;
  readonly nodes: readonly string[];
  /** what was decided before, in its order */
  readonly current: readonly Allocation[];
  /** does anybody hold an address of this slice that this node gave? */
  isLive(node: string, slice: Cidr): boolean;
}

export interface SlicePlan {
  readonly allocations: readonly Allocation[];
  /** nodes for which nothing is left */
  readonly without: readonly string[];
  /** slices that wait for their last addresses: of nodes that are gone, or of another size or range */
  readonly leaving: readonly Allocation[];
}

/** More free ones are not written: one object has room for some 16,000 slices. */
const MOST_FREE = 4096;

/**
 * Gives each node a slice. A node keeps the one it has; a slice with live addresses is nobody else's, whatever has become
 * of its node, of the range or of the size. Nodes read the first slice that they find, so slices that only wait for their
 * last addresses come last.
 */
export function planSlices(wish: SliceWish): SlicePlan {
  const { nodes, isLive } = wish;
  const wanted = new Set(nodes);
  const own = new Map<string, Cidr>();
  const leaving: Given[] = [];
  const inUse: Cidr[] = [];
  const known = wish.current.flatMap(({ nodeName, sliceRange }): readonly Given[] => {
    const slice = parseCidr(sliceRange);
    return nodeName === '' || slice === undefined ? [] : [{ nodeName, slice: masked(slice) }];
  });
  const give = ({ nodeName, slice }: Given): boolean => {
    const isFree = !inUse.some((other) => overlaps(other, slice));
    if (!wanted.has(nodeName) || own.has(nodeName) || !isFree || !isSlice(wish, slice)) {
      return false;
    }
    own.set(nodeName, slice);
    inUse.push(slice);
    return true;
  };
  // Live ones first: of two nodes that were given the same, it is the one's that uses it.
  const { live = [], idle = [] } = Object.groupBy(known, (one) => (isLive(one.nodeName, one.slice) ? 'live' : 'idle'));
  for (const one of live) {
    if (!give(one)) {
      leaving.push(one);
      inUse.push(one.slice);
    }
  }
  for (const one of idle) {
    give(one);
  }
  const free = freeSlices(wish, inUse);
  const without: string[] = [];
  for (const node of [...wanted].filter((name) => !own.has(name)).sort()) {
    const { value, done } = free.next();
    if (done === true) {
      without.push(node);
    } else {
      own.set(node, value);
    }
  }
  const assigned = [...own].map(([nodeName, slice]) => ({ nodeName, slice }));
  const rest = upTo(free, MOST_FREE).map((slice) => ({ nodeName: '', slice }));
  return {
    allocations: [...[...assigned, ...rest].sort(byAddress), ...leaving.toSorted(byAddress)].map(allocation),
    without,
    leaving: leaving.map(allocation),
  };
}

interface Given {
  readonly nodeName: string;
  readonly slice: Cidr;
}

const allocation = ({ nodeName, slice }: Given): Allocation => ({
  nodeName,
  sliceRange: formatCidr(slice),
});

const byAddress = (a: Given, b: Given): number =>
  a.slice.ip.value < b.slice.ip.value ? -1 : a.slice.ip.value > b.slice.ip.value ? 1 : 0;

const isSlice = ({ range, size }: SliceWish, slice: Cidr): boolean =>
  slice.prefix === size && contains(range, networkOf(slice));

/** Ascending; what is in use is passed over in one step. */
function* freeSlices({ range, size, window }: SliceWish, inUse: readonly Cidr[]): Generator<Cidr, undefined> {
  const { family } = range.ip;
  const step = 1n << BigInt(bitsOf(family) - size);
  const sorted = inUse.map((one) => rangeBounds(one)).sort((a, b) => (a.first < b.first ? -1 : 1));
  let at = 0;
  let value = window.first - (window.first % step);
  while (value <= window.last) {
    while (at < sorted.length && (sorted[at] as Bounds).last < value) {
      at++;
    }
    const next = sorted[at];
    if (next !== undefined && next.first < value + step) {
      value = next.last + 1n;
      value += (step - (value % step)) % step;
      continue;
    }
    yield { ip: { family, value } satisfies Ip, prefix: size };
    value += step;
  }
  return undefined;
}

interface Bounds {
  readonly first: bigint;
  readonly last: bigint;
}

function rangeBounds(cidr: Cidr): Bounds {
  const first = networkOf(cidr).value;
  return { first, last: first + (1n << BigInt(bitsOf(cidr.ip.family) - cidr.prefix)) - 1n };
}

/** @returns nothing when there are more */
function upTo<T>(items: Iterator<T>, most: number): readonly T[] {
  const taken: T[] = [];
  for (let { value, done } = items.next(); done !== true; { value, done } = items.next()) {
    taken.push(value);
    if (taken.length > most) {
      return [];
    }
  }
  return taken;
}

/**
 * Length of the prefix of a slice: `/26` or `26`. A range of IPv6 that is beside one of IPv4 gets slices with as many
 * addresses.
 *
 * @returns undefined when no slice of the range can have it
 */
export function sliceSizeIn(text: string, range: Cidr): number | undefined {
  const size = /^\/?\d{1,3}$/.test(text) ? Number(text.replace('/', '')) : Number.NaN;
  const bits = bitsOf(range.ip.family);
  const sizes = bits === 128 && size <= 32 ? [size, size + 96] : [size];
  return sizes.find((one) => one >= range.prefix && one <= bits - 2);
}
