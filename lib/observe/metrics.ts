/**
 * Metrics in the text format of Prometheus, https://prometheus.io/docs/instrumenting/exposition_formats. Its client library
 * takes ten times as long to count, and 8 MB.
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
  /** What somebody else has counted. */
  set(count: number, labels?: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
  /** Observes with these labels, which are looked up only once. */
  with(labels: Labels): (value: number) => void;
  /** What it has now. */
  readings(): readonly Reading[];
}

/** A histogram's values with the same labels. */
export interface Reading {
  readonly labels: Labels;
  /** number of values in each bucket, the last without an upper bound */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Kinds of metrics by name: who asks for one again gets the same. */
export interface Metrics {
  gauge(name: string, help: string): Gauge;
  counter(name: string, help: string): Counter;
  /** @param bounds upper ones of its buckets, ascending */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  /** Has something looked up whenever they are read. */
  onRead(look: () => void): void;
  /** All of them, as Prometheus reads them. */
  text(): string;
}

interface Family {
  readonly head: string;
  readonly lines: () => readonly string[];
}

export function makeMetrics(): Metrics {
  const families = new Map<string, Family & { readonly metric: Gauge | Counter | Histogram }>();
  const looks: (() => void)[] = [];
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
    onRead: (look) => void looks.push(look),
    text: () => {
      for (const look of looks) {
        look();
      }
      return [...families.values()].map(({ head, lines }) => `${[head, ...lines()].join('\n')}\n`).join('');
    },
  };
}

function numbers(name: string) {
  const values = new Map<string, number>();
  const metric: Gauge & Counter = {
    set: (now, labels = {}) => void values.set(labelText(labels), now),
    add: (count, labels = {}) => void values.set(labelText(labels), (values.get(labelText(labels)) ?? 0) + count),
    clear: () => values.clear(),
  };
  return { metric, lines: () => [...values].map(([labels, now]) => `${name}${labels} ${now}`) };
}

interface Buckets {
  readonly labels: Labels;
  readonly counts: number[];
  sum: number;
}

function buckets(name: string, bounds: readonly number[]) {
  const all = new Map<string, Buckets>();
  const at = (labels: Labels): Buckets => {
    const key = labelText(labels);
    const one = all.get(key) ?? { labels, counts: [...bounds.map(() => 0), 0], sum: 0 };
    all.set(key, one);
    return one;
  };
  const put = (one: Buckets, value: number): void => {
    let index = 0;
    while (index < bounds.length && value > (bounds[index] as number)) {
      index++;
    }
    one.counts[index] = (one.counts[index] as number) + 1;
    one.sum += value;
  };
  const metric: Histogram = {
    observe: (value, labels = {}) => put(at(labels), value),
    with: (labels) => {
      const one = at(labels);
      return (value) => put(one, value);
    },
    readings: () => [...all.values()].map((one) => ({ ...one, counts: [...one.counts] })),
  };
  return { metric, lines: () => [...all.values()].flatMap((one) => bucketLines(name, bounds, one)) };
}

function bucketLines(name: string, bounds: readonly number[], { labels, counts, sum }: Buckets): readonly string[] {
  let count = 0;
  const cumulated = counts.map((own, index) => {
    count += own;
    const le = bounds[index] === undefined ? '+Inf' : String(bounds[index]);
    return `${name}_bucket${labelText({ ...labels, le })} ${count}`;
  });
  return [...cumulated, `${name}_sum${labelText(labels)} ${sum}`, `${name}_count${labelText(labels)} ${count}`];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
