import { tagsOf } from '../../conformance/contract/all-differences.ts';
import type { Outcome } from './outcome.ts';

/** What a tier came to, where each difference from the Go plugins that it has to show and has not is one more failure. */
export async function showing(tier: string, running: Promise<Outcome>): Promise<Outcome> {
  return lessThanAll(await tagsOf(tier), await running);
}

export function lessThanAll(wanted: readonly string[], outcome: Outcome): Outcome {
  const missing = wanted.filter((tag) => outcome.shown?.includes(tag) !== true);
  return missing.length === 0
    ? outcome
    : {
        ...outcome,
        failed: outcome.failed + missing.length,
        report: [outcome.report, ...missing.map((tag) => `no test with the tag "${tag}" has passed`)].join('\n'),
      };
}
