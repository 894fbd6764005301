import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHORT_LIVED, THRESHOLDS, YOUNG } from './compiling.ts';

const node = (...args: readonly string[]): string => execFileSync(process.execPath, args, { encoding: 'utf8' });

/** Runs a function often, and tells what V8 has compiled. */
const traced = (prologue: string): string =>
  node(
    ...SHORT_LIVED,
    '--trace-opt',
    '--no-concurrent-recompilation',
    '--input-type=module',
    '-e',
    `import { compileForLong } from ${JSON.stringify(join(import.meta.dirname, 'compiling.ts'))};
    ${prologue}
    function often(number) { return number + 1; }
    for (let number = 0; number < 5000; number++) often(number);`,
  );

describe('what V8 is told at the start', () => {
  it('begins with the values that this version of V8 has by itself', () => {
    const usual = Object.entries(THRESHOLDS).map(([name, value]) => `default: --${name}=${value}`);
    const options = node('--v8-options')
      .split('\n')
      .map((line) => line.trim());
    expect(usual.filter((value) => !options.some((line) => line.endsWith(value)))).toEqual([]);
    expect(options.some((line) => line.endsWith('default: --parallel-scavenge'))).toBe(true);
  });

  it('keeps a short call from compiling, and lets a process that lives on compile as usual', () => {
    expect(traced('')).not.toMatch(/often/);
    expect(traced('compileForLong();')).toMatch(/compiling method \S+ <JSFunction often .*target TURBOFAN/);
  });
});

/** What the young generation has at the most in work whose objects survive for a while, in MB. */
function largestIn(flags: readonly string[]): number {
  const work = `
    import { getHeapSpaceStatistics } from 'node:v8';
    const size = () => getHeapSpaceStatistics().find((one) => one.space_name === 'new_space').space_size / 2 ** 20;
    const live = new Map();
    let largest = 0;
    for (let round = 0; round < 1500; round++) {
      live.set(round % 50, Array.from({ length: 2000 }, (_, at) => ({ at: String(at), more: [round, at] })));
      largest = Math.max(largest, size());
    }
    console.log(largest);`;
  return Number(node(...flags, '--input-type=module', '-e', work));
}

describe('the young generation', () => {
  it('has two halves of 8 MB, which it would not by itself', () => {
    const bound = largestIn(YOUNG);
    expect(bound).toBeGreaterThan(8);
    expect(bound).toBeLessThanOrEqual(16);
    const free = [1, 2, 3].map(() => largestIn([])); // V8 is in no hurry on a busy machine
    expect(Math.max(...free)).toBeGreaterThan(24);
  });
});
