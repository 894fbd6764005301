import { type Plan, planRelease, planReservation, type Reservation } from './plan.ts';
import type { AttachmentId, Pools } from './pool.ts';

/** What is wanted of the pools, as a value: another process can plan it as well. */
export type Wish =
  | { readonly kind: 'reserve'; readonly reservation: Reservation }
  | { readonly kind: 'release'; readonly attachment: AttachmentId };

export const planWish = (wish: Wish, pools: Pools): Plan<unknown> =>
  wish.kind === 'reserve' ? planReservation(wish.reservation, pools) : planRelease(wish.attachment, pools);
