import { formatIp } from '../../lib/net/ip.ts';
import { type PoolView, type State, stateOf } from './pool-view.ts';
import type { Span } from './spans.ts';

export const COLUMNS = 64;
const MOST_CELLS = 1024n;
/** Larger ranges are shown only as far as they are in use. */
const LARGEST_WHOLE = 1n << 20n;

export interface Cell {
  readonly first: bigint;
  readonly last: bigint;
  readonly state: State;
}

/** A pool as rows of cells, each of one address or a block of them. */
export interface Grid {
  readonly rows: readonly Row[];
  readonly addressesPerCell: bigint;
  /** a sentence about what the picture leaves out; '' when it is all there */
  readonly omitted: string;
}

export interface Row {
  /** the first address */
  readonly label: string;
  readonly cells: readonly Cell[];
}

export function gridOf(view: PoolView): Grid {
  const shown = shownOf(view);
  const size = shown.last - shown.first + 1n;
  let addressesPerCell = 1n;
  while (size / addressesPerCell > MOST_CELLS) {
    addressesPerCell *= 2n;
  }
  const rowSize = addressesPerCell * BigInt(COLUMNS);
  const rows: Row[] = [];
  for (let start = shown.first; start <= shown.last; start += rowSize) {
    const cells: Cell[] = [];
    for (let first = start; first <= shown.last && first < start + rowSize; first += addressesPerCell) {
      const last = first + addressesPerCell - 1n;
      cells.push({ first, last, state: stateOf(view, first, last) });
    }
    rows.push({ label: formatIp({ family: view.pool.cidr.ip.family, value: start }), cells });
  }
  const isWhole = shown.first === view.span.first && shown.last === view.span.last;
  return { rows, addressesPerCell, omitted: isWhole ? '' : 'what is not shown has no reservations' };
}

/** The smallest block, halving the range again and again, that has all that is in use, and the first free address. */
function shownOf({ span, taken, statics, allowed }: PoolView): Span {
  const used = [...taken.keys(), ...statics, allowed[0]?.first ?? span.first].sort((a, b) => (a < b ? -1 : 1));
  const [lowest, highest] = [used[0] ?? span.first, used.at(-1) ?? span.first];
  let { first, last } = span;
  while (last - first + 1n > LARGEST_WHOLE) {
    const middle = first + (last - first + 1n) / 2n;
    if (highest < middle) {
      last = middle - 1n;
    } else if (lowest >= middle) {
      first = middle;
    } else {
      break;
    }
  }
  while (last - first + 1n > MOST_CELLS && span.last - span.first + 1n > LARGEST_WHOLE) {
    const middle = first + (last - first + 1n) / 2n;
    if (highest >= middle) {
      break;
    }
    last = middle - 1n;
  }
  return { first, last };
}
