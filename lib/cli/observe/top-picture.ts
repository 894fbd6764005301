import { table } from '../table.ts';
import type { Busyness, Line } from './busyness.ts';

const MIB = 1024 * 1024;
const SLOWEST = 12;
const HEAD = ['PLUGIN', 'VERB', 'CALLS', 'PER S', 'P50 MS', 'P95 MS', 'P99 MS'];
const STEP_HEAD = ['STEP', 'PLUGIN', 'VERB', 'TIMES', 'P50 MS', 'P99 MS', 'IN ALL MS'];

/** The lines of `braid top`. */
export function topPicture(busy: Busyness): readonly string[] {
  const cpu = busy.cpu === undefined ? '' : `, ${(busy.cpu * 100).toFixed(0)} % of a processor`;
  const when = busy.seconds === undefined ? 'since it started' : `in the last ${busy.seconds.toFixed(1)} s`;
  return [
    `braid agent ${busy.version}: ${busy.running} running, ${busy.waiting} waiting, ${(busy.memory / MIB).toFixed(0)} MiB${cpu}`,
    '',
    ...(busy.calls.length === 0 ? ['no calls yet'] : table(HEAD, busy.calls.map(callRow))),
    '',
    ...(busy.steps.length === 0
      ? [`nothing was done ${when}`]
      : [`where the time went ${when}:`, ...table(STEP_HEAD, busy.steps.slice(0, SLOWEST).map(stepRow))]),
  ];
}

const callRow = ({ plugin, verb, count, perSecond, p50, p95, p99 }: Line): readonly string[] => [
  plugin,
  verb,
  String(count),
  perSecond === undefined ? '' : perSecond.toFixed(1),
  ms(p50),
  ms(p95),
  ms(p99),
];

const stepRow = ({ plugin, verb, step = '', count, p50, p99, total }: Line): readonly string[] => [
  step,
  plugin,
  verb,
  String(count),
  ms(p50),
  ms(p99),
  ms(total),
];

/** Three digits. */
export const ms = (value: number | undefined): string =>
  value === undefined ? '' : value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
