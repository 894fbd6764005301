/** Kills of a program after each of its effects: see steps.c. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, type Outcome } from './execute.ts';
import type { Lab } from './lab.ts';
import { ROOT } from './programs.ts';

/**
 * @param last the effect after which the program is killed
 * @returns variables of its environment
 */
export async function killedAfter(lab: Lab, last: number): Promise<Readonly<Record<string, string>>> {
  const library = join(lab.dir, 'steps.so');
  if (!existsSync(library)) {
    const source = join(ROOT, 'conformance/steps.c');
    await mustRun(['cc', '-Wall', '-Werror', '-shared', '-fPIC', '-O1', '-o', library, source]);
  }
  return { LD_PRELOAD: library, KILL_AFTER: String(last) };
}

/** What the program did, in its own words: `request 19`. */
export const stepsOf = ({ stderr }: Outcome): readonly string[] =>
  [...stderr.matchAll(/^step \d+: (.*)$/gm)].map(([, what = '']) => what);
