import type { IpReservation } from '../cluster/objects.ts';
import type { Stored } from '../cluster/pool-entries.ts';
import { type Judgement, suspectsIn } from '../sweep/entries.ts';
import { isPoolOf } from '../sweep/networks.ts';
import { holdersIn } from '../sweep/pools.ts';
import { isAbandoned, reservationState, type Unprotected, unprotectedIn } from '../sweep/reservations.ts';
import { Claims, type Contested, type Unclaimed } from '../sweep/unclaimed.ts';
import type { Look } from './look.ts';

/** What must be looked at again. */
export interface Suspicions {
  readonly entries: ReadonlyMap<string, readonly Stored[]>;
  readonly reservations: readonly IpReservation[];
  readonly unprotected: readonly Unprotected[];
  readonly unclaimed: readonly Unclaimed[];
  readonly contested: readonly Contested[];
}

/** What of a look seems wrong. */
export function suspicionsIn(first: Look, judgement: Judgement): Suspicions {
  const { pools, reservations, networks, pods } = first;
  const podOf = (podref: string) => pods.get(podref);
  const entries = new Map<string, readonly Stored[]>();
  for (const pool of pools) {
    const suspects = suspectsIn(pool, podOf, judgement);
    if (suspects.length > 0) {
      entries.set(
        pool.name,
        suspects.map(({ stored }) => stored),
      );
    }
  }
  const holders = holdersIn(pools);
  const claims = new Claims(networks, pools);
  const found = [...pods.values()].map((pod) => claims.of(pod));
  return {
    entries,
    reservations: reservations.filter(
      (one) => reservationState(one, holders) !== 'held' && isAbandoned(one, pods.get(one.spec.podref), judgement),
    ),
    unprotected: unprotected(first),
    unclaimed: found.flatMap((one) => one.unclaimed),
    contested: found.flatMap((one) => one.contested),
  };
}

/** In pools of which a configuration says that they keep ranges apart. */
export function unprotected({ pools, networks, reservations }: Look): readonly Unprotected[] {
  const reserved = new Set(reservations.map(({ metadata }) => metadata.name));
  const protecting = networks.filter(({ protectOverlaps }) => protectOverlaps);
  const found = new Map<string, Unprotected>();
  for (const pool of pools) {
    const names = new Set(
      protecting.filter((network) => isPoolOf(pool, network)).map(({ networkName }) => networkName),
    );
    for (const one of [...names].flatMap((name) => unprotectedIn(pool, name, reserved))) {
      found.set(one.name, one);
    }
  }
  return [...found.values()];
}

export const isNothing = ({ entries, reservations, unprotected: bare, unclaimed, contested }: Suspicions): boolean =>
  entries.size + reservations.length + bare.length + unclaimed.length + contested.length === 0;

/** Pods that something is to be decided about. */
export function* podrefsIn(suspicions: Suspicions, { pools }: Look): Iterable<string> {
  for (const stored of [...suspicions.entries.values()].flat()) {
    yield stored.held.entry.podref;
  }
  for (const { spec } of suspicions.reservations) {
    yield spec.podref;
  }
  for (const { held } of suspicions.unprotected) {
    yield held.entry.podref;
  }
  for (const { pod } of suspicions.unclaimed) {
    yield pod.podref;
  }
  for (const { pod, holder } of suspicions.contested) {
    yield pod.podref;
    yield holder.podref;
  }
  // who holds what an abandoned reservation is in the way of
  const holders = suspicions.reservations.length === 0 ? undefined : holdersIn(pools);
  for (const { metadata } of suspicions.reservations) {
    yield* holders?.get(metadata.name) ?? [];
  }
}
