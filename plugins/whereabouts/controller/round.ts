/**
 * One round of the reconciler: looks, waits, looks again at what seemed wrong, and repairs what still is. Every change is
 * one that the server refuses when somebody has changed the same thing meanwhile.
 */
import { messageOf } from '../../../lib/cni/errors.ts';
import type { EventRecorder } from '../../../lib/controller/events.ts';
import type { WatchApi } from '../../../lib/kube/watch.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import type { Clock } from '../../../lib/sys/clock.ts';
import type { IpReservation } from '../cluster/objects.ts';
import type { Stored, StoredPool } from '../cluster/stored-pool.ts';
import { isSameEntry, type Judgement, orphaned, suspectsIn } from '../sweep/entries.ts';
import { isPoolOf } from '../sweep/networks.ts';
import { holdersIn } from '../sweep/pools.ts';
import { isAbandoned, reservationState, type Unprotected, unprotectedIn } from '../sweep/reservations.ts';
import { Claims, type Contested, type Unclaimed } from '../sweep/unclaimed.ts';
import { freeEntries } from './free-entries.ts';
import { LivePods } from './live-pods.ts';
import { type Look, look, readPools } from './look.ts';
import { claimAddress, protectAddress, removeReservation } from './repairs.ts';

export interface Round extends Clock {
  readonly api: WatchApi;
  readonly events: EventRecorder;
  readonly graceMs: number;
  /** between the two looks */
  readonly pauseMs: number;
  readonly isEndEnough: boolean;
  readonly flatFiles: readonly string[];
  /** by the wall */
  nowMs(): number;
  looked(look: Look): void;
  log(line: string): void;
}

/** What a round has done. */
export interface Report {
  readonly freed: number;
  readonly removed: number;
  readonly protected: number;
  readonly claimed: number;
  readonly contested: number;
  readonly failures: number;
}

interface Suspicions {
  readonly entries: ReadonlyMap<string, readonly Stored[]>;
  readonly reservations: readonly IpReservation[];
  readonly unprotected: readonly Unprotected[];
  readonly unclaimed: readonly Unclaimed[];
  readonly contested: readonly Contested[];
}

/** @throws ApiError when the cluster cannot be looked at; what fails afterwards is told, and counted */
export async function runRound(round: Round): Promise<Report> {
  const first = await look(round);
  round.looked(first);
  const suspicions = suspicionsIn(first, judgementOf(round));
  const tally = new Tally(round);
  if (isNothing(suspicions)) {
    return tally.report;
  }
  await round.sleep(round.pauseMs);
  const pools = new Map((await readPools(round.api, round.log)).map((pool) => [pool.name, pool]));
  const live = await LivePods.read(round.api, podrefsIn(suspicions, first), (podref, error) =>
    tally.failed(`cannot tell whether pod "${podref}" is there`, error),
  );
  const judgement = judgementOf(round);
  const left = await free(round, tally, suspicions, pools, live, judgement);
  await claim(round, tally, suspicions.unclaimed, live);
  await tell(round, tally, suspicions.contested, live);
  await sortReservations(round, tally, { first, suspicions, left, live, judgement });
  return tally.report;
}

const judgementOf = ({ graceMs, isEndEnough, nowMs }: Round): Judgement => ({ nowMs: nowMs(), graceMs, isEndEnough });

class Tally {
  private readonly round: Round;
  readonly counts = { freed: 0, removed: 0, protected: 0, claimed: 0, contested: 0, failures: 0 };

  constructor(round: Round) {
    this.round = round;
  }

  get report(): Report {
    return this.counts;
  }

  failed(what: string, error: unknown): void {
    this.counts.failures++;
    this.round.log(`${what}: ${messageOf(error)}`);
  }

  /** Does one thing of several; its failure does not stop the others. */
  async attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failed(what, error);
    }
  }
}

function suspicionsIn(first: Look, judgement: Judgement): Suspicions {
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
function unprotected({ pools, networks, reservations }: Look): readonly Unprotected[] {
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

const isNothing = ({ entries, reservations, unprotected: bare, unclaimed, contested }: Suspicions): boolean =>
  entries.size + reservations.length + bare.length + unclaimed.length + contested.length === 0;

function* podrefsIn(suspicions: Suspicions, { pools }: Look): Iterable<string> {
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
  const names = new Set(suspicions.reservations.map(({ metadata }) => metadata.name));
  for (const [name, podrefs] of names.size === 0 ? [] : holdersIn(pools)) {
    if (names.has(name)) {
      yield* podrefs;
    }
  }
}

/** Frees what nobody uses. @returns the pools as they are then */
async function free(
  round: Round,
  tally: Tally,
  { entries }: Suspicions,
  pools: ReadonlyMap<string, StoredPool>,
  live: LivePods,
  judgement: Judgement,
): Promise<readonly StoredPool[]> {
  const left = new Map(pools);
  for (const [name, suspects] of entries) {
    const pool = pools.get(name);
    if (pool === undefined) {
      continue; // it is gone, with all that was in it
    }
    const now = new Map(pool.stored.map((stored) => [stored.key, stored]));
    const orphans = suspects.filter(
      (one) =>
        isSameEntry(one, now.get(one.key)) &&
        live.isKnown(one.held.entry.podref) &&
        orphaned(one, live.get(one.held.entry.podref), judgement) !== undefined,
    );
    await tally.attempt(`cannot clean pool "${name}"`, async () => {
      const freed = await freeEntries(round.api, round, pool, orphans);
      tally.counts.freed += freed.length;
      for (const { held } of freed) {
        round.log(`freed ${formatIp(held.ip)} of pool "${name}": ${held.entry.podref} ${held.entry.ifname}`);
      }
      const keys = new Set(freed.map(({ key }) => key));
      left.set(name, { ...pool, stored: pool.stored.filter(({ key }) => !keys.has(key)) });
    });
  }
  return [...left.values()];
}

/** Takes in the pools what running pods have. */
async function claim(round: Round, tally: Tally, unclaimed: readonly Unclaimed[], live: LivePods): Promise<void> {
  for (const one of unclaimed) {
    const text = `${formatIp(one.ip)} for ${one.pod.podref} ${one.ifname} in pool "${one.pool}"`;
    await tally.attempt(`cannot claim ${text}`, async () => {
      const outcome = await claimAddress(round.api, one, live.get(one.pod.podref));
      if (outcome === 'claimed') {
        tally.counts.claimed++;
        round.log(`claimed ${text}`);
      } else if (outcome === 'taken') {
        tally.counts.contested++;
        await round.events.record(conflict(one.pod, `somebody else holds ${formatIp(one.ip)}`));
      }
    });
  }
}

/** What two pods have is nothing that can be repaired without one of them. */
async function tell(round: Round, tally: Tally, contested: readonly Contested[], live: LivePods): Promise<void> {
  for (const { pod, ip, holder } of contested) {
    const now = live.get(pod.podref);
    if (now?.uid === pod.uid && now.phase === 'Running' && live.get(holder.podref) !== undefined) {
      tally.counts.contested++;
      round.log(`${formatIp(ip)} is used by pod "${pod.podref}" and reserved for "${holder.podref}"`);
      await round.events.record(conflict(now, `${formatIp(ip)} is reserved for pod "${holder.podref}"`));
    }
  }
}

const conflict = ({ podref, uid }: { readonly podref: string; readonly uid: string }, message: string) => {
  const [namespace = '', name = ''] = podref.split('/');
  const regarding = { apiVersion: 'v1', kind: 'Pod', namespace, name, uid };
  return { type: 'Warning', reason: 'IPAddressConflict', message, regarding, component: 'braid-controller' } as const;
};

interface Sorting {
  readonly first: Look;
  readonly suspicions: Suspicions;
  /** the pools as they are */
  readonly left: readonly StoredPool[];
  readonly live: LivePods;
  readonly judgement: Judgement;
}

/** Removes reservations that nobody needs, and makes those that are missing. */
async function sortReservations(round: Round, tally: Tally, sorting: Sorting): Promise<void> {
  const { first, suspicions, left, live, judgement } = sorting;
  const [before, holders] = [holdersIn(first.pools), holdersIn(left)];
  const suspected = new Set(suspicions.reservations);
  const removed = new Set<string>();
  // those that seemed wrong, and those whose address was just freed
  const candidates = first.reservations.filter(
    (one) =>
      (suspected.has(one) || reservationState(one, before) === 'held') && reservationState(one, holders) !== 'held',
  );
  for (const one of candidates) {
    const { podref } = one.spec;
    if (!live.isKnown(podref) || !isAbandoned(one, live.get(podref), judgement)) {
      continue;
    }
    await tally.attempt(`cannot remove reservation "${one.metadata.name}"`, async () => {
      if (await removeReservation(round.api, one)) {
        tally.counts.removed++;
        removed.add(one.metadata.name);
        round.log(`removed reservation "${one.metadata.name}" of ${podref}, who does not hold the address`);
      }
    });
  }
  const bare = unprotected({
    ...first,
    pools: left,
    reservations: first.reservations.filter(({ metadata }) => !removed.has(metadata.name)),
  });
  const wereBare = new Set(suspicions.unprotected.map(({ name }) => name));
  for (const one of bare.filter(({ name }) => wereBare.has(name) || removed.has(name))) {
    await tally.attempt(`cannot protect reservation "${one.name}"`, async () => {
      const outcome = await protectAddress(round.api, one, live.get(one.held.entry.podref));
      if (outcome === 'protected') {
        tally.counts.protected++;
        round.log(`made reservation "${one.name}" of ${one.held.entry.podref} anew`);
      } else if (outcome === 'taken') {
        tally.counts.contested++;
        const pod = live.get(one.held.entry.podref);
        if (pod !== undefined) {
          await round.events.record(conflict(pod, `reservation "${one.name}" is somebody else's`));
        }
      }
    });
  }
}
