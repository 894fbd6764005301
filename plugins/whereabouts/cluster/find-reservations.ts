import { isReserving, type Step } from '../engine.ts';
import { claimOf, holderOf, isOwn, nameOf, type Protection } from './claims.ts';
import { inParallel, statesOf, type Try } from './context.ts';
import type { Stored } from './pool-entries.ts';
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
  const seen = new Set<Stored>();
  const isNew = (stored: Stored): boolean => seen.size < seen.add(stored).size;
  const held = steps.flatMap(({ networkName, asked: { ranges, owners } }) =>
    statesOf(one, networkName)
      .filter(({ pool }) => ranges.includes(pool.range))
      .flatMap((state) =>
        owners.flatMap((owner) =>
          [...state.ofAttachment(owner), ...(owner.podref === '' ? [] : state.ofPod(owner))]
            .filter((stored) => isInside(state.pool, stored) && isNew(stored))
            .map(({ held: { ip, entry } }) => ({
              networkName,
              ip,
              entry: { ...entry, id: owner.id, podref: owner.podref },
            })),
        ),
      ),
  );
  const { progress } = one;
  const missing = held.filter((protection) => {
    const name = nameOf(protection);
    return !progress.claims.has(name) && progress.foreign.get(name) === undefined;
  });
  return [...new Map(missing.map((protection) => [nameOf(protection), protection])).values()];
}

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
