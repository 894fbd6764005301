import type { Comparison } from './stats.ts';
import type { Subject } from './subjects.ts';

/** Subjects that take turns, and how their figures are told. */
export interface Bench {
  readonly name: string;
  readonly about: string;
  /** in the order in which they take turns */
  readonly subjects: Readonly<Record<string, Subject>>;
  readonly lines: readonly Line[];
  /** rounds that are not counted; 1 when absent */
  readonly warmUp?: number;
  /** the part of the rounds asked for that is run, for benches that take long */
  readonly part?: number;
  /** takes down what `make` has made */
  close?(): Promise<void>;
}

export interface Line {
  readonly title: string;
  /** subject and figure */
  readonly ours: readonly [subject: string, figure: string];
  readonly peer?: readonly [subject: string, figure: string];
  readonly how: Comparison;
  readonly unit: 'ms' | 'MiB' | 'processes' | 'calls' | 'requests';
  /** at most */
  readonly target?: number;
  /** where the picture shows it: under which heading, and in which row */
  readonly picture?: { readonly panel: string; readonly row: string };
}
