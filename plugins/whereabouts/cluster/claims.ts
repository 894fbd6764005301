import type { Ip } from '../../../lib/net/ip.ts';
import { reservationName } from '../names.ts';
import type { AttachmentId, Entry } from '../pool.ts';
import { CLAIMANT_POINTER, claimantOf, claimed, type IpReservation } from './objects.ts';
import type { Requests } from './requests.ts';

/** An address that is to be protected across ranges, and for whom. */
export interface Protection {
  readonly networkName: string;
  readonly ip: Ip;
  readonly entry: Entry;
}

/** A reservation as it was seen last: by these three one sees that nobody else has claimed it since. */
export interface Seen {
  readonly uid: string;
  readonly version: string;
  readonly claimant: string;
}

/** A reservation that is the attachment's own. */
export interface Claim extends Protection, Seen {
  readonly name: string;
  /**
   * `made` by this transaction, which takes it back when it fails; `found` beside what the attachment held, and good as
   * long as that is held; `adopted`: left by somebody who may be deleting it this very moment, maybe without looking
   */
  readonly origin: 'made' | 'found' | 'adopted';
}

/** An address that is in no pool any more, and whose reservation goes too. */
export interface Freed extends Protection {
  /** undefined: it must be looked at */
  readonly seen: Seen | undefined;
}

/** Who has a reservation. */
export interface Holder extends Pick<Entry, 'podref' | 'ifname'> {
  /** Somebody is after the same addresses at this moment, and may give it back. */
  readonly isFresh: boolean;
}

/** By the clocks of this node and of the server, which may differ: then it is only slower. */
const FRESH_MS = 10_000;

export const nameOf = ({ networkName, ip }: Pick<Protection, 'networkName' | 'ip'>): string =>
  reservationName(networkName, ip);

export const holderOf = ({ metadata: { creationTimestamp = '' }, spec }: IpReservation): Holder => ({
  podref: spec.podref,
  ifname: spec.ifname ?? '',
  isFresh: Math.abs(Date.now() - Date.parse(creationTimestamp)) < FRESH_MS,
});

/** Is it for this attachment? Old versions wrote no interface. Without a pod only the container's mark tells. */
export const isOwn = (reservation: IpReservation, { id, podref, ifname }: Entry): boolean => {
  const holder = holderOf(reservation);
  return (
    holder.podref === podref &&
    (holder.ifname === ifname || holder.ifname === '') &&
    (podref !== '' || claimantOf(reservation) === id)
  );
};

export const seenOf = (reservation: IpReservation): Seen => ({
  uid: reservation.metadata.uid ?? '',
  version: reservation.metadata.resourceVersion ?? '',
  claimant: claimantOf(reservation),
});

export const claimOf = (protection: Protection, reservation: IpReservation, origin: Claim['origin']): Claim => ({
  ...protection,
  ...seenOf(reservation),
  name: nameOf(protection),
  origin,
});

/** Others delete and make the same reservation meanwhile. */
const TRIES = 8;

/**
 * Protects an address across the ranges of its network.
 *
 * @param isHasty whoever has it already is somebody else: so it is where many are after the same addresses
 * @returns who has it already, if it is not the attachment; undefined when it changes hands all the time
 */
export async function claim(
  protection: Protection,
  requests: Requests,
  isHasty: boolean,
): Promise<Claim | Holder | undefined> {
  const { entry } = protection;
  const name = nameOf(protection);
  for (let tries = 0; tries < TRIES; tries++) {
    const spec = { podref: entry.podref, ifname: entry.ifname, containerid: entry.id };
    const created = await requests.createReservation(name, entry.id, spec);
    if (created !== 'exists' && created !== 'unknown') {
      return claimOf(protection, created, 'made');
    }
    if (isHasty && created === 'exists') {
      return { podref: '', ifname: '', isFresh: true }; // others are many, and each question costs
    }
    const other = await requests.readReservation(name);
    if (other === undefined) {
      continue;
    }
    if (!isOwn(other, entry)) {
      return holderOf(other);
    }
    if (claimantOf(other) === entry.id) {
      return claimOf(protection, other, 'made'); // the answer was lost
    }
    const adopted = await adopt(name, other, entry, requests);
    if (adopted !== undefined) {
      return claimOf(protection, adopted, 'adopted');
    }
  }
  return undefined;
}

export const isClaim = (outcome: Claim | Holder): outcome is Claim => 'uid' in outcome;

/** Leaves a mark: a release of the attachment's former container that is still under way sees it, and leaves it alone. */
const adopt = (name: string, { metadata }: IpReservation, entry: AttachmentId, requests: Requests) =>
  requests.patchReservation(name, [
    { op: 'test', path: '/metadata/uid', value: metadata.uid },
    { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
    metadata.annotations === undefined
      ? { op: 'add', path: '/metadata/annotations', value: claimed(entry.id) }
      : { op: 'add', path: CLAIMANT_POINTER, value: entry.id },
  ]);

/** Deletes a reservation, if it still is what was seen. */
export async function unclaim(name: string, owner: Entry, seen: Seen | undefined, requests: Requests): Promise<void> {
  let known = seen;
  for (let tries = 0; tries < TRIES; tries++) {
    if (known !== undefined) {
      if (await requests.deleteReservation(name, { uid: known.uid, resourceVersion: known.version })) {
        return;
      }
    }
    const now = await requests.readReservation(name);
    if (now === undefined || !isOwn(now, owner) || (known !== undefined && !isStill(known, seenOf(now)))) {
      return;
    }
    known = seenOf(now);
  }
}

/** Nobody has claimed it since: at most it has got a label. */
const isStill = (before: Seen, now: Seen): boolean => before.uid === now.uid && before.claimant === now.claimant;
