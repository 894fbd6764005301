/** What a controller is made of: loops that plugins bring, and what each of them is given. */
import type { WatchApi } from '../kube/watch.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Clock } from '../sys/clock.ts';
import type { EventRecorder } from './events.ts';

/** An option of the command, of which the part gets the value. */
export interface PartOption {
  /** `interval` for `--interval` */
  readonly name: string;
  /** `SECONDS`; undefined for a switch */
  readonly value?: string;
  readonly about: string;
}

/** What a part is given while this process leads. */
export interface PartHost extends Clock {
  /** its requests end with the leadership */
  readonly api: WatchApi;
  /** fires when another process may lead */
  readonly signal: AbortSignal;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  /** by name; undefined: not given */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  log(line: string): void;
}

/** A loop of the controller. */
export interface ControllerPart {
  readonly name: string;
  /** one phrase */
  readonly about: string;
  readonly options?: readonly PartOption[];
  /**
   * Refuses values of options before anything is begun.
   *
   * @throws Error
   */
  check?(options: PartHost['options']): void;
  /** Works until the signal fires. A part that throws is run again after a pause. */
  run(host: PartHost): Promise<void>;
}
