import { formatIp } from '../../../lib/net/ip.ts';
import type { Trouble } from '../audit.ts';
import type { IpReservation } from '../cluster/objects.ts';
import { entriesOf, type Stored } from '../cluster/pool-entries.ts';
import { isInside, storedIn } from '../cluster/stored-pool.ts';
import { type Judgement, orphaned } from '../sweep/entries.ts';
import { holdersIn } from '../sweep/pools.ts';
import { isAbandoned, reservationState, unprotectedIn } from '../sweep/reservations.ts';
import type { Pods } from './read-pods.ts';
import type { Survey, SurveyedPool } from './survey.ts';

/** How old pods and reservations must be before they are compared with what multus says that pods have. */
const GRACE_MS = 300_000;

export interface Seen {
  readonly survey: Survey;
  readonly pods: Pods;
  /** Is it known from this node that the container lives, or may? Or is it told already that it is dead? */
  readonly isKnownHere: (containerId: string) => boolean;
  readonly nowMs: number;
}

/** A trouble that a second look must see as well: then its key is the same. */
export interface Suspicion {
  readonly key: string;
  readonly trouble: Trouble;
  /** of the pod that decides; '' for none */
  readonly podref: string;
}

/** What the cluster itself says against its entries and reservations, whichever node they are of. */
export function judge(seen: Seen): readonly Suspicion[] {
  const { pools, reservations } = seen.survey;
  return [
    ...pools.flatMap((pool) => unusedOf(pool, seen)),
    ...(reservations === undefined ? [] : reservationsOf(reservations, seen)),
    ...pools.flatMap((pool) => unprotectedOf(pool, seen.survey)),
    ...unreadableOf(seen.survey),
  ];
}

const judgementAt = (nowMs: number): Judgement => ({ nowMs, graceMs: GRACE_MS, isEndEnough: false });

function unusedOf(pool: SurveyedPool, { survey, pods, isKnownHere, nowMs }: Seen): readonly Suspicion[] {
  const judgement = judgementAt(nowMs);
  return storedIn(pool.stored).flatMap((stored): readonly Suspicion[] => {
    const { podref, ifname, id } = stored.held.entry;
    const pod = pods.of(podref);
    if (pod === 'unknown' || isKnownHere(id)) {
      return [];
    }
    const why = orphaned(stored, pod === 'absent' ? undefined : pod, judgement);
    const address = formatIp(stored.held.ip);
    const what = { address, pool: pool.stored.name };
    const text = `${address} is reserved for ${`${podref} ${ifname}`.trim()}`;
    const key = keyOf(why ?? '', pool, stored);
    switch (why) {
      case 'absent':
        return [
          {
            key,
            podref,
            trouble: {
              ...what,
              kind: 'leak',
              text: `${text}, which is gone`,
              inCluster: { survey, entry: { pool, stored } },
            },
          },
        ];
      case 'unused':
        return [
          {
            key,
            podref,
            trouble: { ...what, kind: 'unclear', text: `${text}, whose network status does not name it` },
          },
        ];
      default:
        return [];
    }
  });
}

/** Of entries, and of reservations that may be nobody's. */
export const podrefsIn = ({ pools, reservations = [] }: Survey): ReadonlySet<string> =>
  new Set([
    ...pools.flatMap(({ stored }) => storedIn(stored).map(({ held }) => held.entry.podref)),
    ...reservations.map(({ spec }) => spec.podref),
  ]);

const keyOf = (why: string, { stored: { name } }: SurveyedPool, { key, raw }: Stored): string =>
  JSON.stringify([why, name, key, raw.id, raw.podref, raw.ifname]);

function reservationsOf(reservations: readonly IpReservation[], { survey, pods, nowMs }: Seen): readonly Suspicion[] {
  const holders = holdersIn(survey.pools.map(({ stored }) => stored));
  return reservations.flatMap((reservation): readonly Suspicion[] => {
    const { name: address, uid = '' } = reservation.metadata;
    const { podref, ifname = '' } = reservation.spec;
    const state = reservationState(reservation, holders);
    const what = { address, pool: '' };
    const key = JSON.stringify([state, address, uid]);
    const text = `${address} is kept from all ranges for ${`${podref} ${ifname}`.trim()}`;
    if (state === 'held') {
      return [];
    }
    if (state === 'in the way') {
      const others = [...(holders.get(address) ?? [])].join(' and ');
      return [{ key, podref: '', trouble: { ...what, kind: 'duplicate', text: `${text}, but held by ${others}` } }];
    }
    const pod = pods.of(podref);
    const isFree =
      pod !== 'unknown' && isAbandoned(reservation, pod === 'absent' ? undefined : pod, judgementAt(nowMs));
    const trouble: Trouble = isFree
      ? { ...what, kind: 'orphan', text: `${text}, but no pool has it`, inCluster: { survey, reservation } }
      : { ...what, kind: 'unclear', text: `${text}, and no pool has it: the pod may have it, or be about to` };
    return [{ key, podref, trouble }];
  });
}

/** Only where every configuration of the pool keeps ranges apart. */
function unprotectedOf(pool: SurveyedPool, { reservations, configured }: Survey): readonly Suspicion[] {
  const { networkName, stored } = pool;
  const own = configured.filter((one) => one.networkName === networkName);
  if (reservations === undefined || own.length === 0 || !own.every(({ protectOverlaps }) => protectOverlaps)) {
    return [];
  }
  const reserved = new Set(reservations.map(({ metadata }) => metadata.name));
  const inside = { ...stored, entries: entriesOf(storedIn(stored).filter((one) => isInside(stored, one))) };
  return unprotectedIn(inside, networkName, reserved).map(({ name, held: { ip, entry } }) => {
    const address = formatIp(ip);
    const who = `${entry.podref} ${entry.ifname}`.trim();
    const text = `${address} of ${who} is not kept from the other ranges of its network: another pod may get it there`;
    return {
      key: JSON.stringify(['unprotected', name, entry.id]),
      podref: '',
      trouble: { kind: 'unprotected', address, pool: stored.name, text },
    };
  });
}

const unreadableOf = ({ unreadable }: Survey): readonly Suspicion[] =>
  unreadable.map(({ pool, text }) => ({
    key: JSON.stringify(['unreadable', pool, text]),
    podref: '',
    trouble: { kind: 'unreadable', address: '', pool, text },
  }));
