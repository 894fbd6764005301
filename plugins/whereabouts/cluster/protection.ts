import { isReserving } from '../engine.ts';
import type { Held } from '../pool.ts';
import { claim, type Freed, isClaim, nameOf, type Protection, unclaim } from './claims.ts';
import { inParallel, type Staged, statesOf, type Try } from './context.ts';
import { isInside } from './stored-pool.ts';

/** Addresses that are to be protected across ranges, and are not yet. */
export function unprotected(one: Try, staged: readonly Staged[]): readonly Protection[] {
  const wanted = staged.flatMap(({ step, changes }): readonly Protection[] => {
    const { networkName, asked } = step;
    if (!isReserving(step) || !asked.protectOverlaps) {
      return [];
    }
    const added = changes.filter(({ op }) => op === 'add');
    return [...added, ...heldOf(one, { step, changes })].map(({ ip, entry }) => ({ networkName, ip, entry }));
  });
  const missing = wanted.filter((protection) => !one.progress.claims.has(nameOf(protection)));
  return [...new Map(missing.map((protection) => [nameOf(protection), protection])).values()];
}

/** What the owners of a step hold in the ranges it asked for. */
export function heldOf(one: Try, { step: { networkName, asked } }: Staged): readonly Held[] {
  const { ranges, owners } = asked;
  const states = statesOf(one, networkName).filter(
    ({ pool }) => typeof ranges !== 'string' && ranges.includes(pool.range),
  );
  return states.flatMap((state) =>
    [...new Set(owners.flatMap((owner) => state.ofAttachment(owner)))].flatMap((stored) =>
      isInside(state.pool, stored) ? [stored.held] : [],
    ),
  );
}

/** Other nodes that are after as many addresses, the lowest too, find out with one of them. */
const MANY = 32;

/** @returns false when somebody has one of them: nobody else will be given it from now on */
export async function claimAll(one: Try, wanted: readonly Protection[]): Promise<boolean> {
  const [first, ...others] = wanted;
  return first === undefined || wanted.length <= MANY
    ? claimAtOnce(one, wanted)
    : (await claimAtOnce(one, [first])) && claimAtOnce(one, others);
}

async function claimAtOnce({ progress, requests }: Try, wanted: readonly Protection[]): Promise<boolean> {
  const isHasty = progress.foreign.isContended;
  const outcomes = await inParallel(wanted, async (protection) => {
    const outcome = await claim(protection, requests, isHasty);
    if (outcome !== undefined && isClaim(outcome)) {
      progress.claims.set(outcome.name, outcome);
      return true;
    }
    if (outcome !== undefined) {
      progress.foreign.find(nameOf(protection), outcome);
    }
    return false;
  });
  return outcomes.every((isClaimed) => isClaimed);
}

/**
 * Who had left a reservation may have been about to delete it, and may not look whose it is by now.
 *
 * @returns false when somebody else has got it meanwhile
 */
export async function confirmAdopted(one: Try): Promise<boolean> {
  const { progress, requests } = one;
  const adopted = [...progress.claims.values()].filter((own) => own.origin === 'adopted' && isUsed(one, own));
  const lost = await inParallel(adopted, async (own) => {
    const now = await requests.readReservation(own.name);
    if (now?.metadata.uid === own.uid) {
      return undefined;
    }
    progress.claims.delete(own.name);
    return own;
  });
  return claimAll(
    one,
    lost.filter((own) => own !== undefined),
  );
}

/** Gives back what this transaction has claimed and does not need any more. */
export async function releaseUnused(one: Try): Promise<void> {
  const { progress, requests } = one;
  // Where a pool still has the address, it is given back there first.
  const unused = [...progress.claims.values()].filter(
    (own) => own.origin === 'made' && !isUsed(one, own) && !progress.freed.has(own.name),
  );
  await inParallel(unused, async (own) => {
    await unclaim(own.name, own.entry, own, requests);
    progress.claims.delete(own.name);
  });
}

/**
 * Deletes the reservations of addresses that pools have given back, unless the same attachment, in another container,
 * holds the address by now.
 */
export async function releaseFreed(one: Try, also: readonly Freed[]): Promise<void> {
  const { progress, requests } = one;
  const all = new Map([...also, ...progress.freed.values()].map((freed) => [nameOf(freed), freed]));
  const free = [...all].filter(([, freed]) => !isUsed(one, freed));
  await inParallel(free, async ([name, { entry, seen }]) => {
    await unclaim(name, entry, progress.claims.get(name) ?? seen, requests);
    progress.claims.delete(name);
    progress.freed.delete(name);
  });
}

const isUsed = (one: Try, { networkName, ip, entry: { podref, ifname } }: Protection): boolean =>
  statesOf(one, networkName).some(
    (state) =>
      state.pool.cidr.ip.family === ip.family &&
      state.at(ip.value).some(({ held: { entry } }) => entry.podref === podref && entry.ifname === ifname),
  );
