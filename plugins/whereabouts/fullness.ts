import type { Ip } from '../../lib/net/ip.ts';
import { includes, type Range } from '../../lib/net/range.ts';
import { poolKey } from './names.ts';
import type { Change, Pools } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';
import { sizeOf, subtract } from './spans.ts';

/** In percent of what may be handed out. */
const NEARLY_FULL = 80n;
/** Smaller ranges are made to fit: a rail of two addresses is full as it should be. */
const FEWEST = 10n;
/** Counting the reservations of a large range takes longer than making one, so it is not done for each. */
const LARGE = 4096n;
const EACH_OF_LARGE = 64n;

/** What is to be told of ranges that have few addresses left: one phrase each. */
export const fullnessOf = (
  ranges: readonly ConfiguredRange[],
  isAcross: boolean,
  pools: Pools,
  changes: readonly Change[] = [],
): readonly string[] => [
  ...new Set(
    ranges.flatMap((range) => {
      const name = poolKey(range);
      return [...leftIn(range, isAcross, pools, changes), ...(pools.remarks?.(name) ?? [])];
    }),
  ),
];

/** The same for those that a plan adds to. */
export function fullnessAfter(
  ranges: readonly ConfiguredRange[],
  isAcross: boolean,
  pools: Pools,
  changes: readonly Change[],
): readonly string[] {
  const added = changes.filter(({ op }) => op === 'add');
  const grown = ranges.filter((one) =>
    added.some(({ range, ip }) => range === poolKey(one) && isCounted(one.window, ip)),
  );
  return grown.length === 0 ? [] : fullnessOf(grown, isAcross, pools, changes);
}

const isCounted = ({ first, last }: Range, { value }: Ip): boolean =>
  last - first < LARGE || value % EACH_OF_LARGE === 0n;

function leftIn(
  configured: ConfiguredRange,
  isAcross: boolean,
  pools: Pools,
  changes: readonly Change[],
): readonly string[] {
  const { window, excluded } = configured;
  const { family } = window;
  const range = poolKey(configured);
  const spans = subtract(
    [window],
    excluded.filter((part) => part.family === family),
  ).map(({ first, last }): Range => ({ family, first, last }));
  const size = sizeOf(spans);
  const takenIn = (span: Range): bigint => {
    const own = changes.filter((change) => (isAcross || change.range === range) && includes(span, change.ip));
    const more = own.filter(({ op }) => op === 'add').length - own.filter(({ op }) => op === 'remove').length;
    return BigInt(pools.holdersIn({ range, window: span, isAcross }, 0).count + more);
  };
  const all = size < FEWEST ? 0n : spans.reduce((sum, span) => sum + takenIn(span), 0n);
  const taken = all > size ? size : all; // two ranges may hold the same address
  if (taken * 100n < size * NEARLY_FULL || size < FEWEST) {
    return [];
  }
  return taken === size
    ? [`range ${range} is full: all ${size} addresses are taken`]
    : [`range ${range} is nearly full: ${taken} of ${size} addresses are taken`];
}
