import type { Bar, Row, Work } from './rows.ts';
import { ms } from './top-picture.ts';

const BAR_COLUMNS = 48;
const SHORT_ID = 13;

/** What it is, in words. */
export const headOf = ({ verb, pod, container, calls, begun, ms: total }: Work): string => {
  const whose = pod === '' ? container.slice(0, SHORT_ID) : `${pod} (${container.slice(0, SHORT_ID)})`;
  return `${verb} for ${whose} at ${begun.toISOString()}: ${ms(total)} ms, ${calls === 1 ? '1 call' : `${calls} calls`}`;
};

/** A tree with bars, as lines of text. @param block what bars are made of */
export function tracePicture(work: Work, block: string): readonly string[] {
  const names = work.rows.map(({ name, depth }) => `${'  '.repeat(depth)}${name}`);
  const width = Math.max(...names.map((name) => name.length));
  const lines = work.rows.map((row, index) =>
    `${(names[index] ?? '').padEnd(width)} ${ms(row.ms).padStart(7)}  ${barOf(row, work.ms, block)}`.trimEnd(),
  );
  return [headOf(work), ...lines, ...(work.dropped === 0 ? [] : [`and ${work.dropped} parts that were not kept`])];
}

function barOf({ bars }: Row, total: number, block: string): string {
  const cells = Array.from({ length: BAR_COLUMNS }, () => ' ');
  for (const bar of bars) {
    const [from, to] = cellsOf(bar, total);
    cells.fill(block, from, to);
  }
  return cells.join('');
}

function cellsOf({ start, end }: Bar, total: number): readonly [number, number] {
  const at = (time: number): number => (total === 0 ? 0 : (time / total) * BAR_COLUMNS);
  const from = Math.max(0, Math.min(BAR_COLUMNS - 1, Math.floor(at(start))));
  return [from, Math.max(from + 1, Math.min(BAR_COLUMNS, Math.round(at(end))))];
}

const ROW = 20;
const LEFT = 330;
const AXIS = 800;
const MARGIN = 10;
const COLOURS = ['#4c78a8', '#72b7b2', '#f58518', '#54a24b', '#b279a2', '#9d755d'];
const TICKS = 5;

/** The same as a picture that browsers show. */
export function traceSvg(works: readonly Work[]): string {
  const parts: string[] = [];
  let top = MARGIN;
  for (const work of works) {
    parts.push(workSvg(work, top));
    top += (work.rows.length + 3) * ROW;
  }
  const width = LEFT + AXIS + 2 * MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${parts.join('\n')}
</svg>
`;
}

function workSvg(work: Work, top: number): string {
  const x = (time: number): number => LEFT + (work.ms === 0 ? 0 : time / work.ms) * AXIS;
  const bottom = top + (work.rows.length + 1) * ROW;
  const head = `<text x="${MARGIN}" y="${top + 14}" font-weight="bold">${escaped(headOf(work))}</text>`;
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => (work.ms / TICKS) * index).map(
    (time) =>
      `<line x1="${fixed(x(time))}" x2="${fixed(x(time))}" y1="${top + ROW}" y2="${bottom}" stroke="#ddd"/><text x="${fixed(x(time))}" y="${bottom + 14}" text-anchor="middle" fill="#666">${ms(time)} ms</text>`,
  );
  const rows = work.rows.map((row, index) => rowSvg(row, top + (index + 1) * ROW, x));
  return [head, ...ticks, ...rows].join('\n');
}

function rowSvg({ name, depth, ms: total, bars }: Row, y: number, x: (time: number) => number): string {
  const colour = COLOURS[depth % COLOURS.length];
  const label = `<text x="${MARGIN + depth * 12}" y="${y + 14}">${escaped(name)}</text><text x="${LEFT - MARGIN}" y="${y + 14}" text-anchor="end">${ms(total)}</text>`;
  const rects = bars.map(
    ({ start, end }) =>
      `<rect x="${fixed(x(start))}" y="${y + 3}" width="${fixed(Math.max(1, x(end) - x(start)))}" height="${ROW - 6}" fill="${colour}"><title>${escaped(name)}: ${ms(end - start)} ms</title></rect>`,
  );
  return [label, ...rects].join('\n');
}

const fixed = (value: number): string => value.toFixed(1);

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
