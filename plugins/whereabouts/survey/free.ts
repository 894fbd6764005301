import { CniError } from '../../../lib/cni/errors.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { isOwn, seenOf, unclaim } from '../cluster/claims.ts';
import { inParallel } from '../cluster/context.ts';
import type { IpReservation } from '../cluster/objects.ts';
import { patchesOf } from '../cluster/patch.ts';
import { PoolState } from '../cluster/pool-state.ts';
import { Requests } from '../cluster/requests.ts';
import { type Stored, storedPool } from '../cluster/stored-pool.ts';
import { OutcomeUnknown } from '../engine.ts';
import { reservationName } from '../names.ts';
import { isSameEntry } from '../sweep/entries.ts';
import type { Survey, SurveyedPool } from './survey.ts';

/** Others change the same pool meanwhile, but hardly the same addresses. */
const TRIES = 8;
const PATIENCE_MS = 60_000;
const SILENCE_MS = 10_000;

export interface Freeing {
  readonly entries: readonly { readonly pool: SurveyedPool; readonly stored: Stored }[];
  readonly reservations: readonly IpReservation[];
  /** what this node remembers of entries that are gone */
  readonly forget: (pool: SurveyedPool, freed: readonly Stored[]) => Promise<void>;
}

/**
 * Gives back entries and reservations that are still what was seen; what is another's by now stays.
 *
 * @throws CniError
 */
export async function freeInCluster(
  survey: Survey,
  { entries, reservations, forget }: Freeing,
  scope: Scope,
): Promise<void> {
  const patience = { deadline: scope.now() + PATIENCE_MS, silenceMs: SILENCE_MS };
  const requests = new Requests(survey.cluster.api, scope, patience);
  for (const [pool, own] of Map.groupBy(entries, (one) => one.pool)) {
    const freed = await freeEntries(
      pool,
      own.map(({ stored }) => stored),
      requests,
    );
    await inParallel(freed, (stored) => releaseReservation(survey, pool, stored, requests));
    await forget(pool, freed);
  }
  await inParallel(reservations, (one) => deleteOrphan(one, requests));
}

/**
 * One patch, which the server refuses when one of the entries has changed; then without that one.
 *
 * @returns those that are gone
 */
async function freeEntries(
  pool: SurveyedPool,
  wanted: readonly Stored[],
  requests: Requests,
): Promise<readonly Stored[]> {
  const { name, cidr, rangeText } = pool.stored;
  let asked: readonly Stored[] = [];
  for (let tries = 0; tries < TRIES; tries++) {
    const object = await requests.readPool(name);
    if (object === undefined) {
      return wanted; // the pool is gone, and its entries with it
    }
    if (object.spec.range !== rangeText) {
      return []; // the same keys are other addresses by now
    }
    const state = new PoolState(storedPool(object, cidr, pool.node));
    const now = new Map(state.pool.stored.map((one) => [one.key, one]));
    const there = wanted.filter((stored) => isSameEntry(stored, now.get(stored.key)));
    // What was asked for, and is not there any more, is gone: an answer was lost.
    const gone = asked.filter((stored) => !now.has(stored.key));
    for (const { held } of there) {
      state.remove(held);
    }
    if (state.diffs().length === 0) {
      return gone;
    }
    asked = [...gone, ...there];
    if (await areTaken(name, state, requests)) {
      return asked;
    }
  }
  throw new CniError('tryAgainLater', `cannot change pool "${name}": others have changed it at each of ${TRIES} tries`);
}

async function areTaken(name: string, state: PoolState, requests: Requests): Promise<boolean> {
  try {
    for (const patch of patchesOf(state.pool, state.diffs(), false)) {
      const outcome = await requests.patchPool(name, patch, state.pool.stored.length);
      if (outcome !== 'done') {
        return outcome === 'missing';
      }
    }
    return true;
  } catch (error) {
    if (error instanceof OutcomeUnknown) {
      return false; // it is looked at again
    }
    throw error;
  }
}

/** Only the very object that was there before: the pod may have come back, and claimed the address anew. */
async function releaseReservation(
  { reservations }: Survey,
  { networkName }: SurveyedPool,
  { held: { ip, entry } }: Stored,
  requests: Requests,
): Promise<void> {
  const name = reservationName(networkName, ip);
  const seen = reservations?.find(({ metadata }) => metadata.name === name);
  if (seen !== undefined && isOwn(seen, entry)) {
    await unclaim(name, entry, seenOf(seen), requests);
  }
}

/** It goes if it is the very object, in the very version, that was seen twice. */
async function deleteOrphan({ metadata }: IpReservation, requests: Requests): Promise<void> {
  const { name, uid, resourceVersion } = metadata;
  if (uid !== undefined && resourceVersion !== undefined) {
    await requests.deleteReservation(name, { uid, resourceVersion });
  }
}
