import { describe, expect, it } from 'vitest';
import { countsOf } from './outcome.ts';
import { outcomeOf } from './vitest.ts';

const file = (status: string, ...tests: readonly string[]) => ({
  name: 'some.test.ts',
  status,
  assertionResults: tests.map((test) => ({ status: test, fullName: `a ${test} test` })),
});

const counts = (exitCode: number, ...testResults: readonly ReturnType<typeof file>[]): string =>
  countsOf([outcomeOf(exitCode, '', { testResults })]);

describe('outcomeOf', () => {
  it('counts tests', () => {
    const files = [file('passed', 'passed', 'passed', 'pending'), file('failed', 'passed', 'failed', 'todo')];
    expect(counts(1, ...files)).toBe('3 passed, 1 failed, 2 skipped');
  });

  it('counts a file that could not be loaded as one failure', () => {
    expect(counts(1, file('passed', 'passed'), file('failed'))).toBe('1 passed, 1 failed, 0 skipped');
  });

  it('counts an error outside of tests as one failure', () => {
    expect(counts(1, file('passed', 'passed'))).toBe('1 passed, 1 failed, 0 skipped');
  });

  it('counts a run that left no report as one failure', () => {
    expect(countsOf([outcomeOf(1, '', undefined)])).toBe('0 passed, 1 failed, 0 skipped');
  });
});
