import type { Ip } from '../../lib/net/ip.ts';
import type { Reservation } from './plan.ts';
import type { AttachmentId, Held } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';

/** Where reservations are kept. Every answer is durable when it is given. */
export interface Datastore {
  /**
   * For each of the requests one address of every range, in their order; all or none. Requests are served in their order
   * and in one step; one that cannot be served does not keep the others from it.
   *
   * @returns outcomes; a request is rejected with CniError internal when a range is exhausted
   * @throws CniError tryAgainLater, ioFailure
   */
  reserve(requests: readonly Reservation[]): Promise<readonly PromiseSettledResult<readonly Ip[]>[]>;

  /** Frees all that each of the attachments holds, in one step; nothing held is no failure. */
  release(attachments: readonly AttachmentId[]): Promise<readonly (readonly Held[])[]>;

  /** The address that the attachment holds in each of the ranges. */
  find(attachment: AttachmentId, ranges: readonly ConfiguredRange[]): Promise<readonly (Ip | undefined)[]>;

  /** Frees what attachments of the network hold in the ranges, except those that are valid. */
  collect(
    network: string,
    ranges: readonly ConfiguredRange[],
    valid: readonly AttachmentId[],
  ): Promise<readonly Held[]>;

  /** @throws CniError when a reservation could not be made now */
  probe(): Promise<void>;
}
