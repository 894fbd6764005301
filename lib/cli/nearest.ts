/** no suggestion is better than a far-fetched one */
const LETTERS_PER_TYPO = 3;

/**
 * The closest candidate for a mistyped word: one that it begins, or one a few typos away.
 *
 * @returns undefined when none is close
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const limit = Math.ceil(word.length / LETTERS_PER_TYPO);
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: distanceTo(word, candidate) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate;
}

/** `, did you mean "list"?`, or '' when nothing is close. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const found = nearest(word, candidates);
  return found === undefined ? '' : `, did you mean "${found}"?`;
}

/** The last word of `ipam show` alone matches too. */
function distanceTo(word: string, candidate: string): number {
  if (word.length > 1 && candidate.startsWith(word)) {
    return 0;
  }
  const last = candidate.slice(candidate.lastIndexOf(' ') + 1);
  return Math.min(editDistance(word, candidate), editDistance(word, last));
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 1; row <= a.length; row++) {
    const line = [row];
    rows.push(line);
    for (let column = 1; column <= b.length; column++) {
      const substitution = at(row - 1, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swap = isSwap ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY;
      line.push(Math.min(at(row - 1, column) + 1, at(row, column - 1) + 1, substitution, swap));
    }
  }
  return at(a.length, b.length);
}
