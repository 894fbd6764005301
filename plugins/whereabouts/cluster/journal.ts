import type { AttachmentId } from '../pool.ts';
import type { Seen } from './claims.ts';

/** What an attachment of this node holds, or is about to, in one pool. */
export interface JournalRow extends AttachmentId {
  readonly networkName: string;
  readonly podref: string;
  /** `name` of the configuration: pools have no room for it */
  readonly conf: string;
  readonly range: string;
  /** `spec.range` of the pool, to the letter */
  readonly rangeText: string;
  readonly key: string;
  /** of the address across ranges; undefined: it has none */
  readonly reservation: Seen | undefined;
  /** false: nobody knows what became of it, so the pool must be asked */
  readonly isSure: boolean;
}

export interface JournalChange {
  readonly remove: readonly JournalRow[];
  readonly write: readonly JournalRow[];
}

/**
 * What a node remembers of its own reservations: it finds again what a killed call has left, gives back without asking
 * first, and what could not be given back is given back later. The pools are the truth; a journal that is lost costs
 * requests, and leaves what nobody else remembers to the controller.
 *
 * All methods throw CniError ioFailure, tryAgainLater.
 */
export interface Journal {
  /** What these attachments have. */
  rowsOf(networkName: string, attachments: readonly AttachmentId[]): Promise<readonly JournalRow[]>;
  /** What all have. */
  all(networkName: string): Promise<readonly JournalRow[]>;
  /** All of it or nothing, on the disk when it returns. A row that is there already is replaced. */
  record(change: JournalChange): Promise<void>;
  /** When each of the attachments was deleted, if it was: by `${id} ${ifname}`. */
  deletions(networkName: string, attachments: readonly AttachmentId[]): Promise<ReadonlyMap<string, number>>;
  /** What these have will be given back: if not now, then by a later call, at the earliest after some time. */
  bury(networkName: string, attachments: readonly AttachmentId[], afterMs: number): Promise<void>;
}

export const attachmentKey = ({ id, ifname }: AttachmentId): string => `${id} ${ifname}`;

/** Remembers nothing. */
export const NO_JOURNAL: Journal = {
  rowsOf: async () => [],
  all: async () => [],
  record: async () => undefined,
  deletions: async () => new Map(),
  bury: async () => undefined,
};
