import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHORT_LIVED, THRESHOLDS } from './compiling.ts';

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
