import type { Outcome } from '../../cni/run.ts';
import type { Called } from '../../cni/serve.ts';
import type { Observer } from '../../node/observer.ts';
import { type Counter, type Histogram, type Metrics, makeMetrics, type Reading } from '../../observe/metrics.ts';
import type { Env } from '../../sys/execute.ts';
import { Flow } from './flow.ts';
import { CallRecord, factsOf, GONE } from './record.ts';
import { Ring } from './ring.ts';
import { StepMeter } from './steps.ts';

/** Seconds. */
export const BOUNDS = [
  ...[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05],
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
];

/** Codes are the plugin's own from 100 on; one that an executed plugin has made up is no set of labels. */
const MOST_CODES = 200;

/** Whose calls are observed. */
export interface Observation {
  /** for the node that serves them */
  readonly observer: Observer;
  readonly metrics: Metrics;
  readonly ring: Ring;
  /** calls that have begun and not ended */
  readonly underWay: number;
  /** Has each call that is over told. */
  onEnd(hear: Hear): void;
  /** Has something go on while calls are under way. */
  onBusy(work: WhileBusy): void;
  /** All that was measured, since the beginning. */
  totals(): Totals;
  /** Observes a call from its beginning to its outcome. */
  call(called: Called, work: () => Promise<Outcome>): Promise<Outcome>;
}

export interface Totals {
  readonly calls: readonly Reading[];
  readonly steps: readonly Reading[];
}

type Hear = (call: CallRecord, env: Env) => void;

/** What goes on while calls are under way. */
export interface WhileBusy {
  start(): void;
  stop(): void;
}

/** Measures calls and keeps the last ones. */
export function observeCalls(): Observation {
  const metrics = makeMetrics();
  const steps = metrics.histogram(
    'braid_step_seconds',
    'Time of parts of calls: whole plugins, executed ones, locks, the store, exchanges with the kernel.',
    BOUNDS,
  );
  const meter = new CallMeter(metrics);
  const flow = new Flow(new StepMeter(steps));
  const ring = new Ring();
  const hearers: Hear[] = [];
  const whileBusy: WhileBusy[] = [];
  let underWay = 0;
  const begin = (): void => {
    underWay++;
    if (underWay === 1) {
      for (const work of whileBusy) {
        work.start();
      }
    }
  };
  const end = (record: CallRecord, env: Env): void => {
    underWay--;
    if (underWay === 0) {
      for (const work of whileBusy) {
        work.stop();
      }
    }
    record.ms = performance.now() - record.start;
    meter.take(record);
    ring.add(record);
    for (const hear of hearers) {
      hear(record, env);
    }
  };
  return {
    observer: flow.observer,
    metrics,
    ring,
    get underWay() {
      return underWay;
    },
    onEnd: (hear) => void hearers.push(hear),
    onBusy: (work) => void whileBusy.push(work),
    totals: () => ({ calls: meter.seconds.readings(), steps: steps.readings() }),
    call: async ({ name, env }, work) => {
      const record = new CallRecord(factsOf(name, env));
      begin();
      record.code = GONE;
      try {
        const outcome = await flow.follow(record, work);
        record.code = codeOf(outcome);
        return outcome;
      } finally {
        end(record, env);
      }
    },
  };
}

/** Counts calls by what they were and how they ended. */
class CallMeter {
  readonly seconds: Histogram;
  private readonly count: Counter;
  private readonly codes = new Set<string>();

  constructor(metrics: Metrics) {
    this.seconds = metrics.histogram(
      'braid_call_seconds',
      'Time of calls, from their request to their answer.',
      BOUNDS,
    );
    this.count = metrics.counter(
      'braid_calls_total',
      'Calls by the code of their error: 0 for none, gone for a caller that has gone.',
    );
  }

  take({ facts: { plugin, verb }, code, ms }: CallRecord): void {
    this.seconds.observe(ms / 1000, { plugin, verb });
    this.count.add(1, { plugin, verb, code: this.label(code) });
  }

  private label(code: number): string {
    const text = code === GONE ? 'gone' : String(code);
    if (!this.codes.has(text) && this.codes.size >= MOST_CODES) {
      return 'other';
    }
    this.codes.add(text);
    return text;
  }
}

function codeOf({ exitCode, stdout }: Outcome): number {
  if (exitCode === 0) {
    return 0;
  }
  try {
    const { code } = JSON.parse(stdout) as { code?: unknown };
    return typeof code === 'number' && Number.isSafeInteger(code) && code > 0 ? code : 999;
  } catch {
    return 999;
  }
}
