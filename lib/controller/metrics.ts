/**
 * Metrics in the text format of Prometheus, https://prometheus.io/docs/instrumenting/exposition_formats. Its client library
 * would be a tenth of each script.
 */

export type Labels = Readonly<Record<string, string>>;

/** A number for each set of labels. */
export interface Gauge {
  set(value: number, labels?: Labels): void;
  /** Forgets all values: of what is no longer there. */
  clear(): void;
}

export interface Counter {
  add(count: number, labels?: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/** Kinds of metrics by name: who asks for one again gets the same. */
export interface Metrics {
  gauge(name: string, help: string): Gauge;
  counter(name: string, help: string): Counter;
  /** @param bounds upper ones of its buckets, ascending */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  /** All of them, as Prometheus reads them. */
  text(): string;
}

interface Family {
  readonly head: string;
  readonly lines: () => readonly string[];
}

export function makeMetrics(): Metrics {
  const families = new Map<string, Family & { readonly metric: Gauge | Counter | Histogram }>();
  const known = <M extends Gauge | Counter | Histogram>(
    name: string,
    help: string,
    type: string,
    make: () => { readonly metric: M; readonly lines: () => readonly string[] },
  ): M => {
    const found = families.get(name) ?? {
      head: `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}`,
      ...make(),
    };
    families.set(name, found);
    return found.metric as M;
  };
  return {
    gauge: (name, help) => known(name, help, 'gauge', () => numbers(name)),
    counter: (name, help) => known(name, help, 'counter', () => numbers(name)),
    histogram: (name, help, bounds) => known(name, help, 'histogram', () => buckets(name, bounds)),
    text: () => [...families.values()].map(({ head, lines }) => `${[head, ...lines()].join('\n')}\n`).join(''),
  };
}

function numbers(name: string) {
  const values = new Map<string, number>();
  const metric: Gauge & Counter = {
    set: (value, labels = {}) => void values.set(labelText(labels), value),
    add: (count, labels = {}) => void values.set(labelText(labels), (values.get(labelText(labels)) ?? 0) + count),
    clear: () => values.clear(),
  };
  return { metric, lines: () => [...values].map(([labels, value]) => `${name}${labels} ${value}`) };
}

function buckets(name: string, bounds: readonly number[]) {
  const all = new Map<string, { readonly labels: Labels; readonly counts: number[]; sum: number; count: number }>();
  const metric: Histogram = {
    observe: (value, labels = {}) => {
      const key = labelText(labels);
      const one = all.get(key) ?? { labels, counts: bounds.map(() => 0), sum: 0, count: 0 };
      all.set(key, one);
      for (const [index, bound] of bounds.entries()) {
        one.counts[index] = (one.counts[index] ?? 0) + (value <= bound ? 1 : 0);
      }
      one.sum += value;
      one.count++;
    },
  };
  const lines = () =>
    [...all.values()].flatMap(({ labels, counts, sum, count }) => [
      ...bounds.map((bound, index) => `${name}_bucket${labelText({ ...labels, le: String(bound) })} ${counts[index]}`),
      `${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`,
      `${name}_sum${labelText(labels)} ${sum}`,
      `${name}_count${labelText(labels)} ${count}`,
    ]);
  return { metric, lines };
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
