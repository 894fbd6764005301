import type { Scope } from '../../../lib/cni/scope.ts';
import { isOwn, seenOf, unclaim } from '../cluster/claims.ts';
import { inParallel } from '../cluster/context.ts';
import type { IpReservation } from '../cluster/objects.ts';
import type { Stored } from '../cluster/pool-entries.ts';
import { Requests } from '../cluster/requests.ts';
import { freeEntries } from '../controller/free-entries.ts';
import { reservationName } from '../names.ts';
import type { Survey, SurveyedPool } from './survey.ts';

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
 * @throws ApiError, CniError
 */
export async function freeInCluster(
  survey: Survey,
  { entries, reservations, forget }: Freeing,
  scope: Scope,
): Promise<void> {
  const patience = { deadline: scope.now() + PATIENCE_MS, silenceMs: SILENCE_MS };
  const requests = new Requests(survey.cluster.api, scope, patience);
  for (const [pool, own] of Map.groupBy(entries, (one) => one.pool)) {
    const stored = own.map((one) => one.stored);
    const freed = await freeEntries(survey.cluster.api, scope, pool.stored, stored);
    await inParallel(freed, (stored) => releaseReservation(survey, pool, stored, requests));
    await forget(pool, freed);
  }
  await inParallel(reservations, (one) => deleteOrphan(one, requests));
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
