import { isReserving, type Step } from '../engine.ts';
import { type Entry, isOf } from '../pool.ts';
import { claimOf, holderOf, isOwn, nameOf, type Protection } from './claims.ts';
import { inParallel, statesOf, type Try } from './context.ts';
import { isInside } from './stored-pool.ts';

/**
 * Looks at the reservations of what the steps' owners hold already: one may be missing, or somebody else's. When many
 * addresses turned out to be reserved that no pool shows, all reservations are read at once.
 */
export async function findReservations(one: Try, steps: readonly Step[]): Promise<void> {
  one.progress.forgetFound();
  const protecting = steps.filter((step) => isReserving(step) && step.asked.protectOverlaps);
  await Promise.all([
    inParallel(unknown(one, protecting), (protection) => look(one, protection)),
    one.progress.foreign.mustReadAll ? findAll(one, protecting) : undefined,
  ]);
}

/** Held, and not looked at by an earlier try. */
function unknown(one: Try, steps: readonly Step[]): readonly Protection[] {
  const held = steps.flatMap(({ networkName, asked: { ranges, owners } }) =>
    statesOf(one, networkName)
      .filter(({ pool }) => ranges.includes(pool.range))
      .flatMap((state) =>
        [...state.stored].flatMap((stored) => {
          const { ip, entry } = stored.held;
          const owner = owners.find((other) => isOf(other)(entry) || isOfPod(entry, other));
          const isGiven = owner !== undefined && isInside(state.pool, stored);
          return isGiven ? [{ networkName, ip, entry: { ...entry, id: owner.id, podref: owner.podref } }] : [];
        }),
      ),
  );
  const { progress } = one;
  const missing = held.filter((protection) => {
    const name = nameOf(protection);
    return !progress.claims.has(name) && progress.foreign.get(name) === undefined;
  });
  return [...new Map(missing.map((protection) => [nameOf(protection), protection])).values()];
}

const isOfPod = (entry: Entry, { podref, ifname }: Pick<Entry, 'podref' | 'ifname'>): boolean =>
  podref !== '' && entry.podref === podref && entry.ifname === ifname;

async function look({ progress, requests }: Try, protection: Protection): Promise<void> {
  const name = nameOf(protection);
  const found = await requests.readReservation(name);
  if (found === undefined) {
    return; // it is made with the commit
  }
  if (isOwn(found, protection.entry)) {
    progress.claims.set(name, claimOf(protection, found, 'found'));
  } else {
    progress.foreign.find(name, holderOf(found));
  }
}

async function findAll({ progress, requests }: Try, steps: readonly Step[]): Promise<void> {
  const owners = steps.flatMap(({ asked }) => asked.owners);
  const others = (await requests.listReservations()).filter(
    (reservation) =>
      !progress.claims.has(reservation.metadata.name) &&
      !owners.some(({ id, podref, ifname }) => isOwn(reservation, { id, podref, ifname })),
  );
  progress.foreign.replace(new Map(others.map((reservation) => [reservation.metadata.name, holderOf(reservation)])));
}
