/** What a tier came to. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** titles of what was skipped */
  readonly skipped: readonly string[];
  /** tags of tests that passed */
  readonly shown?: readonly string[];
  /** what there is to read, when something failed */
  readonly report: string;
}

export const failure = (report: string): Outcome => ({ passed: 0, failed: 1, skipped: [], report });

export const sum = (outcomes: readonly Outcome[], what: (outcome: Outcome) => number): number =>
  outcomes.reduce((total, outcome) => total + what(outcome), 0);

/** `3 passed, 0 failed, 1 skipped` */
export const countsOf = (outcomes: readonly Outcome[]): string =>
  [
    `${sum(outcomes, ({ passed }) => passed)} passed`,
    `${sum(outcomes, ({ failed }) => failed)} failed`,
    `${sum(outcomes, ({ skipped }) => skipped.length)} skipped`,
  ].join(', ');

/** What several runs came to; there is to read what those say in which something failed. */
export const together = (outcomes: readonly Outcome[]): Outcome => ({
  passed: sum(outcomes, ({ passed }) => passed),
  failed: sum(outcomes, ({ failed }) => failed),
  skipped: outcomes.flatMap(({ skipped }) => skipped),
  shown: outcomes.flatMap(({ shown = [] }) => shown),
  report: outcomes
    .filter(({ failed }) => failed > 0)
    .map(({ report }) => report)
    .join('\n'),
});
