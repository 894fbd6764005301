import type { Histogram } from '../../observe/metrics.ts';
import { verbOf } from './record.ts';

/** Sets of labels: what more would come counts as `other`. A node has some hundred. */
const MOST_SERIES = 1000;
/** Of one plugin's verb; there are some ten. */
const MOST_STEPS = 50;
const OTHER = 'other';
/** What is done for no call. */
const NO_CALL = 'none';

/** `macvlan ADD`, and `execute bridge ADD` */
const PLUGIN = /^(execute )?(\S+) ([A-Z]+)$/;

/** The steps of one plugin's verb. */
export class Steps {
  private readonly plugin: string;
  private readonly verb: string;
  private readonly open: (labels: Readonly<Record<string, string>>) => (seconds: number) => void;
  private readonly known = new Map<string, (seconds: number) => void>();

  constructor(plugin: string, verb: string, open: Steps['open']) {
    this.plugin = plugin;
    this.verb = verb;
    this.open = open;
  }

  take(step: string, ms: number): void {
    const observe = this.known.get(step) ?? this.learn(this.known.size < MOST_STEPS ? step : OTHER);
    observe(ms / 1000);
  }

  private learn(step: string): (seconds: number) => void {
    const observe = this.open({ plugin: this.plugin, verb: this.verb, step });
    this.known.set(step, observe);
    return observe;
  }
}

/** Measures steps by plugin and verb. Names are the program's own, but for those of executed plugins. */
export class StepMeter {
  /** of what is done for no call */
  readonly idle: Steps;
  private readonly others: Steps;
  private readonly histogram: Histogram;
  private readonly plugins = new Map<string, Steps>();
  private readonly parts = new Map<string, { readonly plugin: string; readonly verb: string; readonly step: string }>();
  private series = 0;

  constructor(histogram: Histogram) {
    this.histogram = histogram;
    this.idle = this.of(NO_CALL, NO_CALL);
    this.others = this.of(OTHER, OTHER);
  }

  of(plugin: string, verb: string): Steps {
    const key = `${plugin} ${verb}`;
    const known = this.plugins.get(key);
    if (known !== undefined) {
      return known;
    }
    if (this.plugins.size >= MOST_SERIES) {
      return this.others;
    }
    const steps = new Steps(plugin, verb, (labels) => this.open(labels));
    this.plugins.set(key, steps);
    return steps;
  }

  /** What a part measures, and what is within it: a plugin, when it is one, else that of the outer part. */
  within(name: string, outer: Steps | undefined): { readonly steps: Steps; readonly step: string } {
    const known = this.parts.get(name) ?? this.learn(name);
    return known === undefined
      ? { steps: outer ?? this.idle, step: name }
      : { steps: this.of(known.plugin, known.verb), step: known.step };
  }

  private learn(name: string) {
    const [, isExecuted, plugin, verb] = PLUGIN.exec(name) ?? [];
    if (plugin === undefined || verbOf(verb) === OTHER || this.parts.size >= MOST_SERIES) {
      return undefined;
    }
    const part = { plugin, verb: verbOf(verb), step: isExecuted === undefined ? 'plugin' : 'execute' };
    this.parts.set(name, part);
    return part;
  }

  private open(labels: Readonly<Record<string, string>>): (seconds: number) => void {
    this.series++;
    return this.histogram.with(this.series > MOST_SERIES ? { plugin: OTHER, verb: OTHER, step: OTHER } : labels);
  }
}
