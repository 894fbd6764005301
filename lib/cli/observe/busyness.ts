/** What `braid top` shows: two looks at an agent, and what has happened between them. */
import type { Status, Timed } from '../../agent/observe/status.ts';

export interface Busyness {
  readonly version: string;
  /** since the look before; since the beginning when there is none */
  readonly seconds: number | undefined;
  readonly running: number;
  readonly waiting: number;
  readonly memory: number;
  /** of one processor; undefined without a look before */
  readonly cpu: number | undefined;
  readonly calls: readonly Line[];
  /** longest in all first */
  readonly steps: readonly Line[];
}

/** Something that took time. */
export interface Line {
  readonly plugin: string;
  readonly verb: string;
  /** undefined: the whole call */
  readonly step?: string;
  readonly count: number;
  readonly perSecond: number | undefined;
  /** milliseconds; undefined when there were none */
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
  /** milliseconds in all */
  readonly total: number;
}

const MS = 1000;

/** @param before an earlier look at the same agent, or at the one before it */
export function busynessOf(now: Status, before?: Status): Busyness {
  const isSame = before !== undefined && before.cpuSeconds <= now.cpuSeconds && before.now < now.now;
  const last = isSame ? before : undefined;
  const seconds = last && (now.now - last.now) / MS;
  const line = (all: readonly Timed[]) => (timed: Timed) => lineOf(since(timed, all), now.bounds, seconds);
  return {
    version: now.version,
    seconds,
    running: now.running,
    waiting: now.waiting,
    memory: now.memory,
    cpu: seconds && last && (now.cpuSeconds - last.cpuSeconds) / seconds,
    calls: now.calls.map(line(last?.calls ?? [])).sort((a, b) => b.count - a.count || byName(a, b)),
    steps: now.steps
      .map(line(last?.steps ?? []))
      .filter(({ count }) => count > 0)
      .sort((a, b) => b.total - a.total || byName(a, b)),
  };
}

const byName = (a: Line, b: Line): number => (nameOf(a) < nameOf(b) ? -1 : 1);
const nameOf = ({ plugin, verb, step = '' }: Line): string => `${plugin} ${verb} ${step}`;

function since(timed: Timed, all: readonly Timed[]): Timed {
  const before = all.find(({ labels }) => isSame(labels, timed.labels));
  return before === undefined
    ? timed
    : {
        labels: timed.labels,
        counts: timed.counts.map((count, index) => count - (before.counts[index] ?? 0)),
        sum: timed.sum - before.sum,
      };
}

const isSame = (a: Timed['labels'], b: Timed['labels']): boolean =>
  Object.entries(a).every(([name, value]) => b[name] === value);

function lineOf({ labels, counts, sum }: Timed, bounds: readonly number[], seconds: number | undefined): Line {
  const count = counts.reduce((total, one) => total + one, 0);
  const ms = (share: number): number | undefined => quantile(counts, bounds, share);
  return {
    plugin: labels['plugin'] ?? '',
    verb: labels['verb'] ?? '',
    ...(labels['step'] === undefined ? {} : { step: labels['step'] }),
    count,
    perSecond: seconds && count / seconds,
    p50: ms(0.5),
    p95: ms(0.95),
    p99: ms(0.99),
    total: sum * MS,
  };
}

/** Milliseconds, as histogram_quantile() of Prometheus says them: evenly within a bucket. */
export function quantile(counts: readonly number[], bounds: readonly number[], share: number): number | undefined {
  const rank = counts.reduce((total, one) => total + one, 0) * share;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const [low, high] = [bounds[index - 1] ?? 0, bounds[index] ?? bounds.at(-1) ?? 0];
      return (low + ((high - low) * (rank - below)) / count) * MS;
    }
    below += count;
  }
  return undefined;
}
