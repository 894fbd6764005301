/** The outcome of a tier. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** titles of skipped tests */
  readonly skipped: readonly string[];
  /** tags of tests that passed */
  readonly shown?: readonly string[];
  /** what failed, each with the first line of its reason; a run that broke may have fewer than it counts */
  readonly failures?: readonly string[];
  /** output to show on failure */
  readonly report: string;
}

export const failure = (report: string): Outcome => ({
  passed: 0,
  failed: 1,
  skipped: [],
  failures: [firstLine(report)],
  report,
});

export const firstLine = (text: string): string => text.trim().split('\n', 1)[0] ?? '';

export const sum = (outcomes: readonly Outcome[], what: (outcome: Outcome) => number): number =>
  outcomes.reduce((total, outcome) => total + what(outcome), 0);

/** `3 passed, 0 failed, 1 skipped` */
export const countsOf = (outcomes: readonly Outcome[]): string =>
  [
    `${sum(outcomes, ({ passed }) => passed)} passed`,
    `${sum(outcomes, ({ failed }) => failed)} failed`,
    `${sum(outcomes, ({ skipped }) => skipped.length)} skipped`,
  ].join(', ');

/** The combined outcome of several runs; the report has the failed ones. */
export const together = (outcomes: readonly Outcome[]): Outcome => ({
  passed: sum(outcomes, ({ passed }) => passed),
  failed: sum(outcomes, ({ failed }) => failed),
  skipped: outcomes.flatMap(({ skipped }) => skipped),
  shown: outcomes.flatMap(({ shown = [] }) => shown),
  failures: outcomes.flatMap(({ failures = [] }) => failures),
  report: outcomes
    .filter(({ failed }) => failed > 0)
    .map(({ report }) => report)
    .join('\n'),
});
