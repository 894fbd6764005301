/** Consecutive numbers, both ends included. Lists of them are in order and do not touch. */
export interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

export function union(spans: readonly Span[]): readonly Span[] {
  const joined: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of [...spans].sort((a, b) => (a.first < b.first ? -1 : 1))) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before.last + 1n) {
      before.last = last > before.last ? last : before.last;
    } else {
      joined.push({ first, last });
    }
  }
  return joined;
}

/** What is in the first and not in the second. */
export function subtract(spans: readonly Span[], others: readonly Span[]): readonly Span[] {
  let rest = spans;
  for (const other of others) {
    rest = rest.flatMap(({ first, last }) => {
      if (other.last < first || last < other.first) {
        return [{ first, last }];
      }
      return [
        ...(first < other.first ? [{ first, last: other.first - 1n }] : []),
        ...(other.last < last ? [{ first: other.last + 1n, last }] : []),
      ];
    });
  }
  return rest;
}

export const covers = (spans: readonly Span[], value: bigint): boolean =>
  spans.some(({ first, last }) => first <= value && value <= last);

/** How many numbers there are, in all or between two. */
export function sizeOf(spans: readonly Span[], from?: bigint, to?: bigint): bigint {
  let size = 0n;
  for (const span of spans) {
    const first = from !== undefined && from > span.first ? from : span.first;
    const last = to !== undefined && to < span.last ? to : span.last;
    size += first <= last ? last - first + 1n : 0n;
  }
  return size;
}
