import { CniError } from '../../lib/cni/errors.ts';
import type { Engine, Loaded, Step } from './engine.ts';
import { NotYet, OutcomeUnknown } from './engine.ts';
import type { Change } from './pool.ts';

/** Enough for two dozen writers of one pool at once, each of whom lets one other pass at a try. */
const TRIES = 30;
const LONGEST_PAUSE_MS = 200;

/**
 * Takes all steps in one transaction, in their order, each as if those before it were recorded. It repeats everything
 * when somebody else was faster, or when nobody knows what became of it: plans find what they have done already.
 *
 * @returns outcomes; a step that fails keeps no other from being taken
 * @throws CniError tryAgainLater when others were faster each time; what the engine throws
 */
export async function transact(engine: Engine, steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]> {
  let before: Loaded | undefined;
  try {
    for (let tries = 1; tries <= TRIES; tries++) {
      await using loaded: Loaded = await engine.load(steps, before);
      before = loaded;
      const outcomes = await attempt(steps, loaded);
      if (outcomes !== undefined) {
        return outcomes;
      }
      await steps[0]?.caller.sleep(Math.ceil(Math.random() * Math.min(LONGEST_PAUSE_MS, 2 ** tries)));
    }
  } catch (error) {
    await before?.abandon?.();
    throw error;
  }
  await before?.abandon?.();
  throw new CniError('tryAgainLater', `cannot change the pools: others have changed them at each of ${TRIES} tries`);
}

function take(step: Step, loaded: Loaded): PromiseSettledResult<void> {
  let changes: readonly Change[];
  try {
    changes = step.plan(loaded.pools(step.networkName));
  } catch (reason) {
    if (!(reason instanceof CniError)) {
      throw reason;
    }
    loaded.reject?.(step);
    return { status: 'rejected', reason };
  }
  loaded.stage(step, changes);
  return { status: 'fulfilled', value: undefined };
}

/** @returns undefined when it must be tried again */
async function attempt(
  steps: readonly Step[],
  loaded: Loaded,
): Promise<readonly PromiseSettledResult<void>[] | undefined> {
  try {
    const outcomes = steps.map((step) => take(step, loaded));
    return (await loaded.commit()) === 'done' ? outcomes : undefined;
  } catch (error) {
    if (error instanceof OutcomeUnknown || error instanceof NotYet) {
      return undefined;
    }
    throw error;
  }
}
