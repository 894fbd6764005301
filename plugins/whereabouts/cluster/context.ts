import type { Step } from '../engine.ts';
import type { Change } from '../pool.ts';
import type { Journal, JournalRow } from './journal.ts';
import type { PoolState } from './pool-state.ts';
import type { Progress } from './progress.ts';
import type { Recent } from './recent.ts';
import type { Requests } from './requests.ts';

/** One try of a transaction. */
export interface Try {
  /** by network name, then by range */
  readonly states: ReadonlyMap<string, ReadonlyMap<string, PoolState>>;
  readonly progress: Progress;
  readonly requests: Requests;
  /** changes of pools */
  readonly slow: Recent;
  readonly now: () => number;
  /** for what must be done even when the transaction's own time is over */
  readonly lastRequests: () => Requests;
  readonly journal: Journal;
  /** of the owners of all steps, as the journal had them when this try began */
  readonly remembered: readonly JournalRow[];
  readonly isStrict: boolean;
  readonly log: (line: string) => void;
}

/** A step whose plan has been made. */
export interface Staged {
  readonly step: Step;
  readonly changes: readonly Change[];
}

export const statesOf = ({ states }: Try, networkName: string): readonly PoolState[] => [
  ...(states.get(networkName)?.values() ?? []),
];

/** Requests that wait for an answer at the same time. */
const AT_ONCE = 32;

/**
 * All of it, a limited number at a time.
 *
 * @throws the first failure, after everything has ended
 */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  const failures: unknown[] = [];
  const queue = items.entries();
  const serve = async (): Promise<void> => {
    for (const [index, item] of queue) {
      try {
        results[index] = await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, serve));
  if (failures.length > 0) {
    throw failures[0];
  }
  return results;
}
