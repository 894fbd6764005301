/** What a program does step by step, and kills of it after each of its effects: see steps.c. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Env, mustRun, type Outcome } from './execute.ts';
import { ROOT } from './programs.ts';

/**
 * @param program the name of the program, which others may start
 * @param folder where the library is built, unless it is there
 * @param last the effect, counted from one, after which the program is killed; Infinity only makes it say its steps
 * @returns variables of its environment
 */
export async function killedAfter(program: string, folder: string, last: number): Promise<Env> {
  const library = join(folder, 'steps.so');
  if (!existsSync(library)) {
    const source = join(ROOT, 'conformance/lab/steps.c');
    await mustRun(['cc', '-Wall', '-Werror', '-shared', '-fPIC', '-O1', '-o', library, source]);
  }
  const watched = { LD_PRELOAD: library, STEPS_OF: program };
  return { ...watched, ...(Number.isFinite(last) ? { KILL_AFTER: String(last) } : {}) };
}

/** The effects of the program, in its own words: `request 19`. */
export const stepsOf = ({ stderr }: Outcome): readonly string[] =>
  [...stderr.matchAll(/^step \d+: (.*)$/gm)].map(([, what = '']) => what);

/** How many netlink requests it made, those that only ask too. */
export const requestsOf = ({ stderr }: Outcome): number => stderr.match(/^(step \d+: request|ask) /gm)?.length ?? 0;

/**
 * Rounds in which a call is killed after its first, second, … effect, until it comes to its end.
 *
 * @param atLeast so many effects it has
 * @param round makes the calls, and returns what became of the one that was to be killed
 */
export async function untilItEnds(atLeast: number, round: (last: number) => Promise<Outcome>): Promise<void> {
  for (let last = 1; ; last++) {
    const outcome = await round(last);
    if (outcome.signal === undefined) {
      expect(outcome).toMatchObject({ exitCode: 0 });
      expect(stepsOf(outcome).length, stepsOf(outcome).join('\n')).toBeLessThan(last); // a journal is compacted at times
      expect(last - 1, stepsOf(outcome).join('\n')).toBeGreaterThanOrEqual(atLeast);
      return;
    }
    expect(outcome).toMatchObject({ signal: 'SIGKILL' });
  }
}

/** One round of a call that is killed: how it begins, the call, what follows. All are told after which effect. */
export interface Killing {
  readonly before?: (last: number) => Promise<unknown>;
  readonly call: (last: number) => Promise<Outcome>;
  readonly after: (last: number) => Promise<unknown>;
}

/** As `untilItEnds`. What fails after the call says which effect was its last. */
export function killAfterEach(atLeast: number, { before, call, after }: Killing): Promise<void> {
  return untilItEnds(atLeast, async (last) => {
    await before?.(last);
    const outcome = await call(last);
    try {
      await after(last);
    } catch (error) {
      if (error instanceof Error) {
        error.message = `killed after effect ${last} (${stepsOf(outcome).at(-1) ?? 'none'}): ${error.message}`;
      }
      throw error;
    }
    return outcome;
  });
}
