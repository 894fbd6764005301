/**
 * One round of the reconciler: looks, waits, looks again at what seemed wrong, and repairs what still is. Every change is
 * one that the server refuses when somebody has changed the same thing meanwhile.
 */
import { messageOf } from '../../../lib/cni/errors.ts';
import type { EventRecorder } from '../../../lib/controller/events.ts';
import type { WatchApi } from '../../../lib/kube/watch.ts';
import { formatIp, sameIp } from '../../../lib/net/ip.ts';
import type { Clock } from '../../../lib/sys/clock.ts';
import { entriesOf } from '../cluster/pool-entries.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { isSameEntry, type Judgement, orphaned } from '../sweep/entries.ts';
import { holdersIn } from '../sweep/pools.ts';
import { isAbandoned, reservationState } from '../sweep/reservations.ts';
import type { Unclaimed } from '../sweep/unclaimed.ts';
import { freeEntries } from './free-entries.ts';
import { LivePods } from './live-pods.ts';
import { type Look, look, readPools } from './look.ts';
import { claimAddress, protectAddress, removeReservation } from './repairs.ts';
import { isNothing, podrefsIn, type Suspicions, suspicionsIn, unprotected } from './suspicions.ts';

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
  const sorting = { first, suspicions, left, live, judgement };
  const removed = await removeAbandoned(round, tally, sorting);
  await claim(round, tally, suspicions.unclaimed, live);
  await settle(round, tally, sorting);
  await protect(round, tally, sorting, removed);
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
    const now = new Map(storedIn(pool).map((stored) => [stored.key, stored]));
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
      left.set(name, { ...pool, entries: entriesOf(storedIn(pool).filter(({ key }) => !keys.has(key))) });
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
async function settle(round: Round, tally: Tally, { suspicions, left, live }: Sorting): Promise<void> {
  const holders = new Map(left.map((pool) => [pool.name, storedIn(pool)]));
  for (const one of suspicions.contested) {
    const { pod, ip, holder } = one;
    const now = live.get(pod.podref);
    const isHeld = holders.get(one.pool)?.some(({ held }) => sameIp(held.ip, ip)) ?? false;
    if (!isHeld) {
      await claim(round, tally, [one], live); // whose it was has lost it by now
    } else if (now?.uid === pod.uid && now.phase === 'Running' && live.get(holder.podref) !== undefined) {
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

/** Removes reservations that nobody needs. @returns their names */
async function removeAbandoned(
  round: Round,
  tally: Tally,
  { first, suspicions, left, live, judgement }: Sorting,
): Promise<ReadonlySet<string>> {
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
  return removed;
}

/** Makes the reservations that are missing. */
async function protect(
  round: Round,
  tally: Tally,
  { first, suspicions, left, live }: Sorting,
  removed: ReadonlySet<string>,
): Promise<void> {
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
