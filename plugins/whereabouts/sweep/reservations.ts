import type { IpReservation } from '../cluster/objects.ts';
import type { StoredPool } from '../cluster/stored-pool.ts';
import { reservationName } from '../names.ts';
import type { Held } from '../pool.ts';
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
  pool.stored.flatMap(({ held }) => {
    const name = reservationName(networkName, held.ip);
    return held.entry.podref === '' || reserved.has(name) ? [] : [{ name, held }];
  });
