import type { IpReservation } from '../cluster/objects.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { reservationName } from '../names.ts';
import type { Held } from '../pool.ts';
import { isYoung, type Judgement, withoutPod } from './entries.ts';
import type { PodFacts } from './pods.ts';
import type { Holders } from './pools.ts';

/**
 * What a reservation across ranges is: of somebody who holds the address in a pool; in the way of somebody else who holds
 * it; or of nobody who holds it.
 */
export type ReservationState = 'held' | 'in the way' | 'orphaned';

export function reservationState({ metadata, spec }: IpReservation, holders: Holders): ReservationState {
  const known = holders.get(metadata.name);
  return known === undefined ? 'orphaned' : known.has(spec.podref) ? 'held' : 'in the way';
}

/** Does the pod have the address that a reservation of this name is about, in whichever network? */
export const hasReserved = ({ networks = [], ownIps }: PodFacts, name: string): boolean =>
  [...networks.flatMap(({ ips }) => ips), ...ownIps].some((ip) => {
    const own = reservationName('', ip);
    return name === own || name.endsWith(`-${own}`);
  });

/**
 * Does nobody need a reservation that is not of a holder? As with entries, one look is not enough.
 *
 * A pod may be between its reservation and its entry: then both are young, or the reservation changes.
 *
 * @param pod of its owner; undefined when there is none
 */
export function isAbandoned(
  { metadata, spec }: IpReservation,
  pod: PodFacts | undefined,
  judgement: Judgement,
): boolean {
  const known = withoutPod(spec.podref, pod, judgement);
  if (known !== undefined || pod === undefined) {
    return known !== 'unknown';
  }
  const createdMs = Date.parse(metadata.creationTimestamp ?? '') || 0;
  return !isYoung(createdMs, judgement) && !isYoung(pod.createdMs, judgement) && !hasReserved(pod, metadata.name);
}

/** An address of a network that keeps its ranges apart, which no reservation protects. */
export interface Unprotected {
  readonly name: string;
  readonly held: Held;
}

/** Addresses of a pool without a reservation. */
export const unprotectedIn = (
  pool: StoredPool,
  networkName: string,
  reserved: ReadonlySet<string>,
): readonly Unprotected[] =>
  storedIn(pool).flatMap(({ held }) => {
    const name = reservationName(networkName, held.ip);
    return held.entry.podref === '' || reserved.has(name) ? [] : [{ name, held }];
  });
