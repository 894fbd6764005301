import { count } from '../../lib/cli/table.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { type Cell, COLUMNS, gridOf } from './pool-grid.ts';
import type { PoolView, State } from './pool-view.ts';

const COLOURS: Readonly<Record<State, string>> = {
  free: '#e3ebf0',
  taken: '#1f5f8b',
  partly: '#86b3d1',
  excluded: '#b9b9b9',
  static: '#e0a030',
};
const STATES = Object.keys(COLOURS) as readonly State[];
const CELL = 11;
const LINE = 18;
const LETTER = 7.3;
const MARGIN = 12;

/** The picture of pools as an SVG, with the holder of each address in its tooltip. */
export function svgOf(views: readonly PoolView[]): string {
  const parts: string[] = [];
  let y = MARGIN;
  let width = 0;
  for (const view of views) {
    const { rows, addressesPerCell, omitted } = gridOf(view);
    const left = MARGIN + Math.max(...rows.map(({ label }) => label.length)) * LETTER + MARGIN;
    width = Math.max(width, left + COLUMNS * CELL + MARGIN);
    const { taken, free, excluded, static: fixed } = view.counts;
    const title = `${view.name}: ${taken} taken, ${free} free, ${excluded} excluded, ${fixed} static`;
    const note = `a square is ${count(addressesPerCell, 'address', 'addresses')}${omitted === '' ? '' : `; ${omitted}`}`;
    parts.push(text(MARGIN, y + LINE - 5, title, 'bold'), text(MARGIN, y + 2 * LINE - 5, note));
    y += 2 * LINE + 4;
    for (const { label, cells } of rows) {
      parts.push(
        text(MARGIN, y + CELL - 2, label),
        ...cells.map((cell, column) => square(view, cell, left + column * CELL, y)),
      );
      y += CELL;
    }
    y += LINE;
  }
  parts.push(...legend(y));
  const height = y + LINE + MARGIN;
  width = Math.max(width, MARGIN * 2 + STATES.length * 110);
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="12" role="img" aria-label="addresses of ${escaped(views.map(({ name }) => name).join(', '))}">`;
  return `${head}\n<rect width="100%" height="100%" fill="#ffffff"/>\n${parts.join('\n')}\n</svg>\n`;
}

function square(view: PoolView, { first, last, state }: Cell, x: number, y: number): string {
  const { family } = view.pool.cidr.ip;
  const ends = [first, last].map((value) => formatIp({ family, value }));
  const entry = first === last ? view.taken.get(first) : undefined;
  const holder = entry === undefined ? state : `${entry.podref || entry.id} ${entry.ifname}`;
  const what = `${first === last ? ends[0] : ends.join(' – ')}: ${holder}`;
  const shape = `x="${x}" y="${y}" width="${CELL - 1}" height="${CELL - 1}" fill="${COLOURS[state]}"`;
  return `<rect ${shape}><title>${escaped(what)}</title></rect>`;
}

const legend = (y: number): readonly string[] =>
  STATES.flatMap((state, index) => {
    const x = MARGIN + index * 110;
    const word = state === 'partly' ? 'partly taken' : state;
    return [
      `<rect x="${x}" y="${y}" width="${CELL - 1}" height="${CELL - 1}" fill="${COLOURS[state]}"/>`,
      text(x + CELL + 4, y + CELL - 2, word),
    ];
  });

const text = (x: number, y: number, words: string, weight = 'normal'): string =>
  `<text x="${x}" y="${y}" font-weight="${weight}">${escaped(words)}</text>`;

const escaped = (words: string): string => words.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
