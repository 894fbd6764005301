import { AsyncLocalStorage } from 'node:async_hooks';
import type { Observer } from '../../node/observer.ts';
import { CALL, type CallRecord } from './record.ts';
import type { StepMeter, Steps } from './steps.ts';

/** Where in a call something happens. */
interface Place {
  readonly record: CallRecord;
  /** the part that it is in */
  readonly part: number;
  /** of the plugin that is at work */
  readonly steps: Steps;
}

/**
 * Follows calls through everything that they wait for, and writes down the parts of each. What several calls do together
 * is a part of the one that began it.
 */
export class Flow {
  /** what a node tells */
  readonly observer: Observer;
  private readonly places = new AsyncLocalStorage<Place>();
  private readonly meter: StepMeter;

  constructor(meter: StepMeter) {
    this.meter = meter;
    const told = (name: string, ms: number): void => this.told(name, ms);
    this.observer = Object.assign(told, {
      within: <T>(name: string, work: () => Promise<T>): Promise<T> => this.within(name, work),
    });
  }

  /** Does a call, whose parts go into the record. */
  follow<T>(record: CallRecord, work: () => Promise<T>): Promise<T> {
    const { plugin, verb } = record.facts;
    return this.places.run({ record, part: CALL, steps: this.meter.of(plugin, verb) }, work);
  }

  private told(name: string, ms: number): void {
    const place = this.places.getStore();
    if (place === undefined) {
      this.meter.idle.take(name, ms);
    } else {
      place.record.add(name, place.part, ms);
      place.steps.take(name, ms);
    }
  }

  private async within<T>(name: string, work: () => Promise<T>): Promise<T> {
    const place = this.places.getStore();
    const { steps, step } = this.meter.within(name, place?.steps);
    const part = place?.record.open(name, place.part) ?? CALL;
    const start = performance.now();
    try {
      return place === undefined ? await work() : await this.places.run({ record: place.record, part, steps }, work);
    } finally {
      const ms = performance.now() - start;
      place?.record.close(part, ms);
      steps.take(step, ms);
    }
  }
}
