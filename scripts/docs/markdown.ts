/** A Markdown table. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/**
 * Puts text between `<!-- name -->` and `<!-- /name -->`.
 *
 * @returns the text unchanged if it has no such placeholder
 * @throws Error when the placeholder is not closed
 */
export function fill(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const start = text.indexOf(open);
  if (start < 0) {
    return text;
  }
  const end = text.indexOf(close, start);
  if (end < 0) {
    throw new Error(`"${open}" without "${close}"`);
  }
  return `${text.slice(0, start + open.length)}\n${content}\n${text.slice(end)}`;
}
