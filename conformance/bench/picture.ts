/** Figures as a picture: a panel for each heading, a row for each figure, a bar for ours and one for the peer. */
import type { Figure } from './report.ts';

const WIDTH = 760;
const LABEL = 130;
const BARS = WIDTH - LABEL - 90;
const BAR = 13;
const ROW = 2 * BAR + 14;
const HEADING = 34;
const TOP = 40;
const LEFT = 8;
const COLOURS = { ours: '#2563eb', peer: '#9ca3af', none: '#d1d5db' } as const;
const LEGEND = [
  ['ours', 'Braid'],
  ['peer', 'Go plugins'],
  ['none', 'no plugin'],
] as const;
const STYLE = `text { font: 12px system-ui, sans-serif; fill: #111827 } .heading { font-weight: 600; font-size: 13px }
  .background { fill: #ffffff }`;

/** @returns the text of an SVG file; undefined when no figure wants to be in it */
export function pictureOf(figures: readonly Figure[]): string | undefined {
  const panels = Map.groupBy(
    figures.filter(({ picture }) => picture !== undefined),
    ({ picture }) => picture?.panel ?? '',
  );
  if (panels.size === 0) {
    return undefined;
  }
  let top = TOP;
  const parts = [...panels].map(([heading, rows]) => {
    const part = panelOf(heading, rows, top);
    top += HEADING + rows.length * ROW + 10;
    return part;
  });
  const legend = LEGEND.map(([whose, words], index) => {
    const x = LABEL + index * 110;
    return bar(x, 12, 12, whose) + text(x + 18, 22, words);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}">
<style>${STYLE}</style>
<rect class="background" width="${WIDTH}" height="${top}"/>
${legend.join('')}
${parts.join('\n')}
</svg>
`;
}

function panelOf(heading: string, figures: readonly Figure[], top: number): string {
  const ordered = figures.toSorted((a, b) => Number(isDifference(a)) - Number(isDifference(b)));
  const values = ordered.flatMap(barsOf).map(({ ms }) => ms);
  const scale = BARS / Math.max(...values);
  const rows = ordered.map((figure, index) => {
    const y = top + HEADING + index * ROW;
    const bars = barsOf(figure).map(({ whose, ms }, number) => {
      const at = y + number * (BAR + 1);
      return bar(LABEL, at, ms * scale, whose) + text(LABEL + ms * scale + 6, at + 11, `${ms.toFixed(0)} ms`);
    });
    return text(LEFT, y + 11, figure.picture?.row ?? '') + bars.join('');
  });
  return [text(LEFT, top + 20, heading, 'heading'), ...rows].join('\n');
}

const isDifference = ({ how }: Figure): boolean => how === 'difference';

/** What something is subtracted from is shown alone: ours is in another row. */
const barsOf = (figure: Figure): readonly { readonly whose: keyof typeof COLOURS; readonly ms: number }[] => [
  ...(isDifference(figure) ? [] : [{ whose: 'ours' as const, ms: figure.ours.median }]),
  ...(figure.peer === undefined
    ? []
    : [{ whose: isDifference(figure) ? ('none' as const) : ('peer' as const), ms: figure.peer.median }]),
];

const bar = (x: number, y: number, width: number, whose: keyof typeof COLOURS): string =>
  `<rect x="${x}" y="${y}" width="${Math.max(1, width).toFixed(1)}" height="${BAR}" rx="2" fill="${COLOURS[whose]}"/>`;

const text = (x: number, y: number, words: string, style = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y}"${style === '' ? '' : ` class="${style}"`}>${words.replace(/&/g, '&amp;').replace(/</g, '&lt;')}</text>`;
