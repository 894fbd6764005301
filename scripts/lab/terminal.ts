/** Text for people: colour on a terminal, aligned tables. */
const isColoured = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;

const styled =
  (code: number) =>
  (text: string): string =>
    isColoured ? `\u001b[${code}m${text}\u001b[0m` : text;

export const bold = styled(1);
export const dim = styled(2);
export const bad = styled(31);
export const good = styled(32);

/**
 * A table with a header, indented, columns two spaces apart. Cells are plain text.
 *
 * @param align right-aligned columns, by header
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  align: Readonly<Record<string, 'right'>> = {},
): string {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return align[header[column] ?? ''] === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [bold(line(header)), ...rows.map(line)].map((text) => `  ${text}`).join('\n');
}
