import { describe, expect, it } from 'vitest';
import { countsOf, type Outcome } from './outcome.ts';
import { lessThanAll } from './showing.ts';
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

  it('names what failed, with the first line of the reason', () => {
    const test = (status: string, ...failureMessages: readonly string[]) => ({
      status,
      fullName: `a ${status} test`,
      failureMessages,
    });
    const testResults = [
      {
        name: '/tests/one.test.ts',
        status: 'failed',
        assertionResults: [test('passed'), test('failed', 'Error: one\nat one.test.ts:1', 'Error: two')],
      },
      { name: '/tests/two.test.ts', status: 'failed', message: 'no such module\n', assertionResults: [] },
    ];
    expect(outcomeOf(1, '', { testResults }).failures).toEqual([
      'one.test.ts: a failed test: Error: one',
      'two.test.ts: no such module',
    ]);
    expect(outcomeOf(3, '', undefined).failures).toEqual(['an error outside of tests, exit code 3']);
  });

  it('knows the tags of what has passed', () => {
    const test = (status: string, ...tags: readonly string[]) => ({ status, fullName: 'a test', tags });
    const testResults = [
      {
        ...file('failed'),
        assertionResults: [test('passed', 'a/b', 'a/c'), test('failed', 'a/d'), test('pending', 'a/e')],
      },
      { ...file('passed'), assertionResults: [test('passed', 'a/b'), test('passed')] },
    ];
    expect(outcomeOf(1, '', { testResults }).shown).toEqual(['a/b', 'a/c']);
  });
});

describe('lessThanAll', () => {
  const outcome: Outcome = { passed: 2, failed: 1, skipped: [], report: 'one failed', shown: ['a/b'] };

  it('counts a difference that no test has shown as one failure, and names it', () => {
    expect(lessThanAll(['a/b', 'a/c'], outcome)).toEqual({
      ...outcome,
      failed: 2,
      failures: ['no test with the tag "a/c" has passed'],
      report: 'one failed\nno test with the tag "a/c" has passed',
    });
  });

  it('leaves an outcome alone that shows them all', () => {
    expect(lessThanAll(['a/b'], outcome)).toBe(outcome);
  });
});
