import type { Ip } from '../../lib/net/ip.ts';
import { fullnessAfter } from './fullness.ts';
import { type Plan, planRelease, planReservation, type Reservation } from './plan.ts';
import type { AttachmentId, Pools } from './pool.ts';

/** What is wanted of the pools, as a value: another process can plan it as well. */
export type Wish =
  | { readonly kind: 'reserve'; readonly reservation: Reservation }
  | { readonly kind: 'release'; readonly attachment: AttachmentId };

/** What a reservation answers: its addresses, and where few are left now. */
export interface Reserved {
  readonly given: readonly Ip[];
  /** a phrase each */
  readonly few: readonly string[];
}

export function planReserving(reservation: Reservation, pools: Pools): Plan<Reserved> {
  const { ranges, protectOverlaps } = reservation;
  const { changes, answer } = planReservation(reservation, pools);
  return { changes, answer: { given: answer, few: fullnessAfter(ranges, protectOverlaps, pools, changes) } };
}

export const planWish = (wish: Wish, pools: Pools): Plan<unknown> =>
  wish.kind === 'reserve' ? planReserving(wish.reservation, pools) : planRelease(wish.attachment, pools);
