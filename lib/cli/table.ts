/** Aligned columns; the last is not padded, empty ones are left out. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const columns = head.map((_, column) => column).filter((column) => rows.some((row) => (row[column] ?? '') !== ''));
  const widths = columns.map((column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? '').length)));
  return [head, ...rows].map((row) =>
    columns
      .map((column, index) => (row[column] || '-').padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** A duration in its two largest units. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const;
  const first = units.findIndex(([, size]) => seconds >= size);
  const [unit, size] = units[first] ?? ['s', 1];
  const [smaller, smallerSize] = units[first + 1] ?? ['', 0];
  const rest = smallerSize === 0 ? 0 : Math.floor((seconds % size) / smallerSize);
  return `${Math.floor(seconds / size)} ${unit}${rest === 0 ? '' : ` ${rest} ${smaller}`}`;
}

/** `12 files`, `1 file`. */
export const count = (number: number | bigint, one: string, several = `${one}s`): string =>
  `${number} ${BigInt(number) === 1n ? one : several}`;
