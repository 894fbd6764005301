import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { OutcomeUnknown } from '../engine.ts';
import { parsePoolKey } from '../names.ts';
import { unclaim } from './claims.ts';
import { inParallel, type Try } from './context.ts';
import { patchesOf } from './patch.ts';
import { PoolState } from './pool-state.ts';
import type { Made } from './progress.ts';
import type { Requests } from './requests.ts';
import { storedPool } from './stored-pool.ts';

/** Others change the same pool meanwhile, but hardly the same addresses. */
const TRIES = 8;

/** A server ends a request after 60 s: then a change whose answer never came cannot come true any more. */
const SURE_AFTER_MS = 61_000;

/**
 * Takes back what the tries of a transaction have done that failed in the end: not what they have found. What cannot be
 * taken back now is left to a later call.
 */
export async function takeBack(one: Try): Promise<void> {
  const { progress, journal, log } = one;
  if (progress.made.length === 0 && progress.claims.size === 0 && progress.intended.length === 0) {
    return;
  }
  try {
    const requests = one.lastRequests();
    const pools = [...Map.groupBy(progress.made, ({ pool }) => pool)];
    await inParallel(pools, ([name, made]) => takeFromPool(name, made, requests));
    const claims = [...progress.claims.values()].filter(({ origin }) => origin === 'made');
    await inParallel(claims, (own) => unclaim(own.name, own.entry, own, requests));
    if (progress.isUnsure) {
      await bury(one, SURE_AFTER_MS);
    } else if (progress.intended.length > 0) {
      await journal.record({ remove: progress.intended, write: [] });
    }
  } catch (error) {
    log(`${messageOf(error)}: addresses that nobody was given are given back later`);
    await bury(one, 0);
  }
}

async function bury({ progress, journal, log }: Try, afterMs: number): Promise<void> {
  const deletions = progress.intended.map(({ networkName, id, ifname }) => ({ networkName, id, ifname, ranges: [] }));
  try {
    await journal.bury(deletions, { afterMs, isUnderWay: false });
  } catch (error) {
    log(messageOf(error));
  }
}

async function takeFromPool(name: string, made: readonly Made[], requests: Requests): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const object = await requests.readPool(name);
    const id = parsePoolKey(made[0]?.held.range ?? '');
    if (object === undefined || id === undefined) {
      return;
    }
    const state = new PoolState(storedPool(object, id.cidr, id.node));
    for (const { held } of made) {
      state.remove(held);
    }
    const [patch] = patchesOf(state.pool, state.diffs(), false);
    if (patch === undefined || patch.length === 0) {
      return;
    }
    const outcome = await requests.patchPool(name, patch, state.pool.entries.count).catch(unknown);
    if (outcome === 'done' || outcome === 'missing') {
      return;
    }
  }
  throw new CniError('tryAgainLater', `cannot change pool "${name}": others have changed it at each of ${TRIES} tries`);
}

/** It is looked at again. */
function unknown(error: unknown): undefined {
  if (!(error instanceof OutcomeUnknown)) {
    throw error;
  }
}
