import { messageOf } from '../../../lib/cni/errors.ts';
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
  /** What there is of deletions of the attachments: by attachmentKey. */
  deletions(networkName: string, attachments: readonly AttachmentId[]): Promise<ReadonlyMap<string, Deleted>>;
  /** What these have will be given back by a later call, if nobody finishes that before. */
  bury(deletions: readonly Deletion[], how: Burial): Promise<void>;
}

export interface Burial {
  /** the earliest time for a later call */
  readonly afterMs: number;
  /** Until then whoever buries them gives it back. */
  readonly isUnderWay: boolean;
}

export interface Deleted {
  /** ms since 1970 */
  readonly at: number;
  readonly state: 'under way' | 'waiting' | 'done';
}

/** An attachment that was deleted. */
export interface Deletion extends AttachmentId {
  readonly networkName: string;
  /** where it may hold something besides what the journal says; undefined: nobody knows */
  readonly ranges: readonly string[] | undefined;
}

/** The journal with what is still to be done. */
export interface NodeJournal extends Journal {
  /** All of it is given back. */
  finish(deletions: readonly Deletion[]): Promise<void>;
  /** It could not be given back: after a while again, and then after a longer one. */
  postpone(deletions: readonly Deletion[]): Promise<void>;
  /** Some whose time has come. They are under way from now on, for a while: others leave them alone. */
  due(most: number): Promise<readonly Deletion[]>;
  /** Takes one upon itself. @returns false when there is none that waits, or it is under way */
  take(deletion: Omit<Deletion, 'ranges'>): Promise<boolean>;
  /** How many are still to be given back. */
  waiting(): Promise<number>;
}

/** The same journal, except that what it cannot do is told, and fails nothing. */
export function forgiving(journal: Journal, log: (line: string) => void): Journal {
  const or = async <T>(work: Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      log(messageOf(error));
      return otherwise;
    }
  };
  return {
    rowsOf: (networkName, attachments) => or(journal.rowsOf(networkName, attachments), []),
    all: (networkName) => or(journal.all(networkName), []),
    record: (change) => or(journal.record(change), undefined),
    deletions: (networkName, attachments) => or(journal.deletions(networkName, attachments), new Map()),
    bury: (deletions, how) => or(journal.bury(deletions, how), undefined),
  };
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
