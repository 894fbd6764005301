import type { Stored } from '../cluster/pool-entries.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { hasAddress, type PodFacts, podNamed } from './pods.ts';

/** Why an entry is one that nobody uses. */
export type Orphaned =
  /** its pod is not there */
  | 'absent'
  /** its pod has ended */
  | 'ended'
  /** its pod has other addresses */
  | 'unused';

export interface Judgement {
  /** by the server's clock */
  readonly nowMs: number;
  /** how old a pod must be before its addresses are compared with what it has */
  readonly graceMs: number;
  /** may pods that have ended, but are still there, lose their addresses? */
  readonly isEndEnough: boolean;
}

/**
 * Does nobody use an entry? One look is not enough: what is to be freed must be judged so twice, from what the server has
 * at that moment.
 *
 * A pod of which multus has said nothing keeps what it has: it may be on its way, or have no multus.
 *
 * @param pod of that name; undefined when there is none
 * @returns undefined when somebody uses it, or may
 */
export function orphaned({ held }: Stored, pod: PodFacts | undefined, judgement: Judgement): Orphaned | undefined {
  const known = withoutPod(held.entry.podref, pod, judgement);
  if (known !== undefined || pod === undefined) {
    return known === 'unknown' ? undefined : known;
  }
  const isOther = pod.networks !== undefined && !hasAddress(pod, held.ip);
  return isOther && !isYoung(pod.createdMs, judgement) ? 'unused' : undefined;
}

/** What can be told without looking at addresses. */
export function withoutPod(
  podref: string,
  pod: PodFacts | undefined,
  { isEndEnough }: Judgement,
): 'unknown' | 'absent' | 'ended' | undefined {
  if (podNamed(podref) === undefined) {
    return 'unknown'; // nobody can tell
  }
  if (pod === undefined) {
    return 'absent';
  }
  return isEndEnough && pod.hasEnded ? 'ended' : undefined;
}

export const isYoung = (createdMs: number, { nowMs, graceMs }: Judgement): boolean => nowMs - createdMs < graceMs;

/** An entry that nobody seems to use. */
export interface Suspect {
  readonly pool: string;
  readonly stored: Stored;
  readonly why: Orphaned;
}

/** Entries of a pool that nobody seems to use. */
export const suspectsIn = (
  pool: StoredPool,
  podOf: (podref: string) => PodFacts | undefined,
  judgement: Judgement,
): readonly Suspect[] =>
  storedIn(pool).flatMap((stored) => {
    const why = orphaned(stored, podOf(stored.held.entry.podref), judgement);
    return why === undefined ? [] : [{ pool: pool.name, stored, why }];
  });

/** Is it still the entry that was judged? Who has refreshed it uses it. */
export const isSameEntry = (one: Stored, other: Stored | undefined): boolean =>
  other !== undefined &&
  one.key === other.key &&
  one.raw.id === other.raw.id &&
  one.raw.podref === other.raw.podref &&
  one.raw.ifname === other.raw.ifname;
