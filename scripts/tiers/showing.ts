import { tagsOf } from '../../conformance/contract/all-differences.ts';
import type { Outcome } from './outcome.ts';

/** The outcome of a tier, plus a failure for each difference from the Go plugins that it should have shown but has not. */
export async function showing(tier: string, running: Promise<Outcome>): Promise<Outcome> {
  return lessThanAll(await tagsOf(tier), await running);
}

export function lessThanAll(wanted: readonly string[], outcome: Outcome): Outcome {
  const missing = wanted
    .filter((tag) => outcome.shown?.includes(tag) !== true)
    .map((tag) => `no test with the tag "${tag}" has passed`);
  return missing.length === 0
    ? outcome
    : {
        ...outcome,
        failed: outcome.failed + missing.length,
        failures: [...(outcome.failures ?? []), ...missing],
        report: [outcome.report, ...missing].join('\n'),
      };
}
