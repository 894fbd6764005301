/** Figures for people and for programs. */
import type { Bench, Line } from './bench.ts';
import { type Comparison, compare, type Stats, statsOf } from './stats.ts';
import type { Sample } from './subjects.ts';

/** Samples by subject. */
export type Samples = Readonly<Record<string, readonly Sample[]>>;

export interface Figure {
  readonly bench: string;
  readonly title: string;
  readonly unit: string;
  readonly ours: Stats;
  readonly peer?: Stats;
  readonly how: Comparison;
  /** what is held against the target */
  readonly figure?: number;
  readonly target?: number;
  readonly isMet?: boolean;
  readonly picture?: { readonly panel: string; readonly row: string };
}

export const figuresOf = (bench: Bench, samples: Samples): readonly Figure[] =>
  bench.lines.map((line) => figureOf(bench, line, samples));

function figureOf(bench: Bench, { title, ours, peer, how, unit, target, picture }: Line, samples: Samples): Figure {
  const stats = ([subject, figure]: readonly [string, string]): Stats =>
    statsOf((samples[subject] ?? []).map((sample) => sample[figure] ?? Number.NaN));
  const [own, other] = [stats(ours), peer === undefined ? undefined : stats(peer)];
  const figure = compare(how, own, other);
  return {
    bench: bench.name,
    title,
    unit,
    ours: own,
    ...(other === undefined ? {} : { peer: other }),
    how,
    ...(figure === undefined ? {} : { figure }),
    ...(target === undefined || figure === undefined ? {} : { target, isMet: figure <= target }),
    ...(picture === undefined ? {} : { picture }),
  };
}

const HEADER = ['bench', 'what', 'runs', 'ours', 'peer', 'compared', 'target', ''];

/** One line for each figure; of ours and of the peer min / median / 95th percentile in milliseconds. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = [HEADER, ...figures.map(rowOf)];
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function rowOf(
  { bench, title, unit, ours, peer, how, figure, target, isMet }: Figure,
  index: number,
  all: readonly Figure[],
) {
  const digits = unit === 'ms' ? 2 : 0;
  const stats = (value: Stats | undefined): string =>
    value === undefined ? '' : [value.min, value.median, value.p95].map((ms) => ms.toFixed(digits)).join(' / ');
  return [
    all[index - 1]?.bench === bench ? '' : bench,
    title,
    String(ours.count),
    stats(ours),
    stats(peer),
    figure === undefined ? '' : withUnit(figure, how, unit),
    target === undefined ? '' : `≤ ${withUnit(target, how, unit)}`,
    isMet === undefined ? '' : isMet ? 'met' : 'missed',
  ];
}

function withUnit(value: number, how: Comparison, unit: string): string {
  switch (how) {
    case 'ratio':
      return `× ${value.toFixed(2)}`;
    case 'difference':
      return `+ ${value.toFixed(1)} ${unit}`;
    case 'value':
      return unit === 'ms' ? `${value.toFixed(2)} ms` : `${value} ${unit}`;
  }
}
