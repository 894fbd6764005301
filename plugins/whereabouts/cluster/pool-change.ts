import { OutcomeUnknown } from '../engine.ts';
import { nameOf } from './claims.ts';
import type { Try } from './context.ts';
import type { JournalRow } from './journal.ts';
import { type Diff, firstSpec, patchesOf } from './patch.ts';
import type { PoolState } from './pool-state.ts';
import { rowFor } from './remembered.ts';

/** A change that takes so long is one of a large pool, or one of many at the same moment. */
const SLOW_MS = 60;

/**
 * Tells the server what becomes of one pool: with one request, but for a great number of releases.
 *
 * @throws OutcomeUnknown, CniError
 */
export async function changePool(one: Try, networkName: string, state: PoolState): Promise<'done' | 'conflict'> {
  const { progress } = one;
  const { pool } = state;
  const { added, removed } = state.changes();
  progress.made = [...progress.made, ...added.map(({ held }) => ({ networkName, pool: pool.name, held }))];
  for (const { key, held } of removed) {
    const freed = { networkName, ip: held.ip, entry: held.entry };
    const row = rowFor(one.remembered, { networkName, range: pool.range, key, ...held.entry });
    if (mayBeReserved(row)) {
      progress.freed.set(nameOf(freed), { ...freed, seen: row?.reservation });
    }
  }
  try {
    const outcome = pool.isThere ? await patch(one, state) : await create(one, state);
    if (outcome === 'conflict') {
      progress.made = progress.made.filter((made) => !added.some(({ held }) => held === made.held));
    }
    return outcome;
  } catch (error) {
    progress.isUnsure ||= error instanceof OutcomeUnknown;
    throw error;
  }
}

/** The journal is sure when it knows that there is none. */
export const mayBeReserved = (row: JournalRow | undefined): boolean =>
  row === undefined || !row.isSure || row.reservation !== undefined;

async function create({ requests }: Try, state: PoolState): Promise<'done' | 'conflict'> {
  const { pool } = state;
  return (await requests.createPool(pool.name, firstSpec(pool, state.diffs()))) ? 'done' : 'conflict';
}

async function patch(one: Try, state: PoolState): Promise<'done' | 'conflict'> {
  const { pool } = state;
  const diffs = state.diffs();
  for (const body of patchesOf(pool, diffs, one.isStrict)) {
    const begin = one.now();
    const outcome = await one.requests.patchPool(pool.name, body, pool.entries.count);
    if (one.now() - begin > SLOW_MS) {
      one.slow.remember();
    }
    if (outcome === 'missing') {
      return isOnlyRemoving(diffs) ? 'done' : 'conflict';
    }
    if (outcome !== 'done') {
      one.progress.refused.set(pool.name, { pool, diffs, refusal: outcome.refusal });
      return 'conflict';
    }
  }
  return 'done';
}

const isOnlyRemoving = (diffs: readonly Diff[]): boolean => diffs.every(({ after }) => after === undefined);
