/** When V8 compiles what is called often, and how it collects garbage. */
import { setFlagsFromString } from 'node:v8';

/** V8's options, with its own values: after how many calls, rounds of a loop or bytes of code it compiles. */
export const THRESHOLDS: Readonly<Record<string, number>> = {
  'baseline-batch-compilation-threshold': 4096,
  'invocation-count-for-early-optimization': 30,
  'invocation-count-for-maglev': 400,
  'invocation-count-for-maglev-osr': 100,
  'invocation-count-for-osr': 500,
  'invocation-count-for-turbofan': 3000,
};

/** A call is over before any of them is reached. */
const FACTOR = 100;

/** An agent's code runs 10 to 100 times for a pod, and pods come seldom: V8's first optimizing compiler earlier. */
const MAGLEV = { 'invocation-count-for-maglev': 100 };

const flags = (thresholds: Readonly<Record<string, number>>, factor = 1): readonly string[] =>
  Object.entries(thresholds).map(([name, value]) => `--${name}=${value * factor}`);

/**
 * For a process that is over soon: what is compiled during a call costs more than it saves, and so do threads that help
 * to collect a megabyte of garbage.
 */
export const SHORT_LIVED: readonly string[] = [...flags(THRESHOLDS, FACTOR), '--no-parallel-scavenge'];

/**
 * Half of V8's young generation, from the start on. By itself it grows to 32 MB in an agent and stays so, or shrinks to one
 * while nobody calls: then the next crowd of pods is served with a collection every few milliseconds.
 */
export const YOUNG: readonly string[] = ['--min-semi-space-size=8', '--max-semi-space-size=8'];

/** For a process that lives on: V8's own values, but for one. */
export function compileForLong(): void {
  for (const flag of [...flags({ ...THRESHOLDS, ...MAGLEV }), '--parallel-scavenge']) {
    setFlagsFromString(flag);
  }
}
