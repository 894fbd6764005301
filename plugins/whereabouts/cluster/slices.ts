import { CniError } from '../../../lib/cni/errors.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import { type Cidr, contains, formatCidr, masked, networkOf, parseCidr } from '../../../lib/net/cidr.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import { type Range, usableOf } from '../../../lib/net/range.ts';
import type { Caller, Slices } from '../engine.ts';
import { parsePoolKey, slicePoolName } from '../names.ts';
import type { Slicing } from '../place.ts';
import type { ConfiguredRange } from '../ranges.ts';
import { inParallel } from './context.ts';
import type { Journal } from './journal.ts';
import { nodeNameOf } from './node-name.ts';
import type { NodeSlicePool } from './objects.ts';
import { patienceFor } from './progress.ts';
import { type Patience, Requests } from './requests.ts';

const PROBE_MS = 5000;

/** Who asks: networks of a pod ask at the same time, and share what is read. */
export interface SlicesParts {
  readonly open: () => Promise<KubeApi>;
  readonly journal: Journal;
  readonly caller: Caller;
  readonly networkName: string;
  readonly slicing: Slicing;
  /** what is being read, by name */
  readonly reading: Map<string, Promise<NodeSlicePool | undefined>>;
}

/** Slices as the Go plugin's controller, or ours, has cut them. */
export const slicesIn = (parts: SlicesParts): Slices => ({
  own: async (ranges, why) => {
    const { caller, slicing } = parts;
    const node = nodeNameOf(slicing.nodeName);
    const patience =
      why === 'probe' ? { deadline: caller.now() + PROBE_MS, silenceMs: 0 } : patienceFor(KIND[why], caller);
    return inParallel(ranges, async (range) => {
      const name = slicePoolName(slicing.pool, range.cidr, (ranges[0] ?? range).cidr);
      return sliceOf(range, node, name, await read(parts, name, patience));
    });
  },
  remembered: async (ranges, attachment) => {
    const { journal, networkName } = parts;
    const rows = await (attachment === undefined
      ? journal.all(networkName)
      : journal.rowsOf(networkName, [attachment]));
    return [...new Set(rows.map(({ range }) => range))].flatMap((key) => {
      const id = parsePoolKey(key);
      const range = id && ranges.find(({ cidr }) => isWithin(cidr, id.cidr));
      return id === undefined || range === undefined ? [] : [{ ...range, ...id }];
    });
  },
});

const KIND = { reserve: 'other', release: 'release' } as const;

function read({ reading, open, caller }: SlicesParts, name: string, patience: Patience) {
  const started = reading.get(name) ?? open().then((api) => new Requests(api, caller, patience).readSlicePool(name));
  if (!reading.has(name)) {
    reading.set(name, started);
    const end = (): void => void reading.delete(name);
    started.then(end, end);
  }
  return started;
}

/**
 * The part of a range that a node has, without what is excluded or outside of the configured bounds.
 *
 * @param object the NodeSlicePool with the name; undefined: there is none
 * @throws CniError tryAgainLater while the node has none; internal
 */
export function sliceOf(
  range: ConfiguredRange,
  node: string,
  name: string,
  object: NodeSlicePool | undefined,
): ConfiguredRange {
  const text = formatCidr(range.cidr);
  const fault = (why: string, code: 'tryAgainLater' | 'internal' = 'internal') =>
    new CniError(code, `cannot find the slice of ${text} that node "${node}" has: ${why}`);
  if (object === undefined) {
    throw fault(`there is no NodeSlicePool "${name}" yet`, 'tryAgainLater');
  }
  const whole = parseCidr(object.spec.range);
  if (whole === undefined || formatCidr(masked(whole)) !== text) {
    throw fault(`NodeSlicePool "${name}" is of range "${object.spec.range}"`, 'tryAgainLater');
  }
  const allocations = object.status?.allocations ?? [];
  const own = allocations.find(({ nodeName }) => nodeName === node);
  if (own === undefined) {
    const left = allocations.some(({ nodeName }) => nodeName === '')
      ? ''
      : `, and none of its ${allocations.length} is free`;
    throw fault(`NodeSlicePool "${name}": no allocated node slice for node "${node}"${left}`, 'tryAgainLater');
  }
  const cidr = canonical(own.sliceRange);
  if (cidr === undefined) {
    throw fault(`NodeSlicePool "${name}" says "${own.sliceRange}", which is not the canonical text of a network`);
  }
  if (!isWithin(range.cidr, cidr)) {
    throw fault(`NodeSlicePool "${name}" says "${own.sliceRange}", which is no part of the range`);
  }
  const other = allocations.find((one) => one !== own && one.nodeName !== '' && one.sliceRange === own.sliceRange);
  if (other !== undefined) {
    throw fault(`NodeSlicePool "${name}" gives ${own.sliceRange} to node "${other.nodeName}" too`);
  }
  const usable = usableOf(cidr);
  if (usable === undefined) {
    throw fault(`net mask is too short, subnet ${own.sliceRange} has no usable IP addresses`);
  }
  const window = common(usable, range.window);
  if (window.first > window.last) {
    const [first, last] = [range.window.first, range.window.last].map((value) =>
      formatIp({ family: window.family, value }),
    );
    throw fault(`${own.sliceRange} has nothing of what may be given, ${first} to ${last}`);
  }
  return { ...range, cidr, node, window };
}

/** The Go plugin makes the pool's name of the text as it is: written in another way, it would be another pool. */
function canonical(text: string): Cidr | undefined {
  const cidr = parseCidr(text);
  return cidr !== undefined && formatCidr(masked(cidr)) === text ? cidr : undefined;
}

const isWithin = (outer: Cidr, inner: Cidr): boolean =>
  inner.prefix >= outer.prefix && contains(outer, networkOf(inner));

const common = (a: Range, b: Range): Range => ({
  family: a.family,
  first: a.first > b.first ? a.first : b.first,
  last: a.last < b.last ? a.last : b.last,
});
