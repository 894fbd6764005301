/** Figures out of samples. */

export interface Stats {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  readonly p95: number;
}

export function statsOf(samples: readonly number[]): Stats {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
  const middle = (at(0.5) + (sorted[Math.floor(sorted.length / 2)] ?? Number.NaN)) / 2;
  return { count: sorted.length, min: at(0), median: middle, p95: at(0.95) };
}

/** How ours compares with the peer: medians divided, medians subtracted, or ours alone. */
export type Comparison = 'ratio' | 'difference' | 'value';

export function compare(how: Comparison, ours: Stats, peer: Stats | undefined): number | undefined {
  switch (how) {
    case 'ratio':
      return peer === undefined ? undefined : ours.median / peer.median;
    case 'difference':
      return peer === undefined ? undefined : ours.median - peer.median;
    case 'value':
      return ours.median;
  }
}
