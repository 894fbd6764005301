import type { Scope } from '../../lib/cni/scope.ts';
import type { Holding } from '../../lib/sys/shared.ts';
import type { ClusterPlace } from './place.ts';
import type { AttachmentId, Change, Pools } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';
import type { Wish } from './wish.ts';

/** What a plan will ask about. An engine that must fetch whole pools fetches these, and no others. */
export interface Asked {
  /** canonical texts of ranges (see poolKey), or those in which one of the owners holds something, or the whole network */
  readonly ranges: readonly string[] | 'held' | 'all';
  /** attachments that may hold something there */
  readonly owners: readonly AskingOwner[];
  /** Is what is reserved to be taken for all ranges of the network? */
  readonly protectOverlaps: boolean;
}

/** An attachment; when it reserves, also its pod, and the name of its configuration. */
export interface AskingOwner extends AttachmentId {
  readonly podref: string;
  readonly network?: string;
}

/** Whose step it is: how that call waits, and what it is told that fails no call. */
export type Caller = Pick<Scope, 'now' | 'sleep' | 'log' | 'span'>;

/** One step of a transaction: made from the pools of one network by a pure function, which may be called again. */
export interface Step {
  readonly caller: Caller;
  readonly networkName: string;
  readonly asked: Asked;
  /** nothing is changed, whatever the pools hold */
  readonly isLook: boolean;
  /** every change takes something away, so it must be possible where nothing can be added any more */
  readonly isRelease: boolean;
  /** @throws CniError when this step alone cannot be taken */
  plan(pools: Pools): readonly Change[];
  /** What the plan is about, so that another process can take the step. */
  readonly wish?: Wish;
  /** It is recorded, and nothing but a power cut takes that back: the outcome comes when not even that does. */
  recorded?(): void;
  /** Another process has taken it: what its plan answered. */
  settle?(answer: unknown): void;
}

export const isReserving = ({ isLook, isRelease }: Step): boolean => !isLook && !isRelease;

/** Pools as they were at one moment, and all that is needed to change them if they are still the same. */
export interface Loaded extends AsyncDisposable {
  pools(networkName: string): Pools;
  /** What is asked next takes these as recorded. */
  stage(step: Step, changes: readonly Change[]): void;
  /** The step cannot be taken, so what earlier tries have done for it is taken back with the commit. */
  reject?(step: Step): void;
  /**
   * Makes all that was staged durable, all or none.
   *
   * @returns `conflict` when somebody has changed what was asked about
   * @throws OutcomeUnknown; anything else means that nothing was changed
   */
  commit(): Promise<'done' | 'conflict'>;
  /** No other try follows: what those up to this one have done is taken back. */
  abandon?(): Promise<void>;
}

/**
 * Where pools are kept. It may hold a lock from `load` until the loaded pools are disposed of, and then never knows a
 * conflict; or it compares versions when it commits.
 */
export interface Engine {
  /**
   * @param before what was loaded when the last try met a conflict: what it taught can be used
   * @throws CniError tryAgainLater, ioFailure
   */
  load(steps: readonly Step[], before?: Loaded): Promise<Loaded>;
}

/** What a plan looks for is being given back, or given to others, this very moment: it is planned again a moment later. */
export class NotYet extends Error {
  override readonly name = 'NotYet';
}

/** A commit may have taken place or not, and nobody knows: who repeats the plan with fresh pools will see. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

/** Which part of its ranges a node has, where each node has a slice of its own. */
export interface Slices {
  /**
   * This node's slice of each range, in their order.
   *
   * @throws CniError tryAgainLater when it has none yet, internal when what it has cannot be used
   */
  own(ranges: readonly ConfiguredRange[], why: 'reserve' | 'release' | 'probe'): Promise<readonly ConfiguredRange[]>;
  /** Where in the ranges this node's attachments, or one of them, hold something as far as is remembered. */
  remembered(ranges: readonly ConfiguredRange[], attachment?: AttachmentId): Promise<readonly ConfiguredRange[]>;
}

/** An engine, and what to do when it fails. */
export interface Store extends Disposable {
  /**
   * @returns outcomes; one for each step
   * @throws CniError when none was taken
   */
  serve(steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]>;
  /**
   * @param look reads what can be checked quickly, where that is in reach
   * @throws CniError when a reservation could not be made now
   */
  probe(caller: Caller, look: () => Promise<void>): Promise<void>;
  /** Only where ranges have slices. */
  slices?(place: ClusterPlace, caller: Caller): Promise<Slices>;
  /** What it can tell of its pools without asking anybody. */
  holdings?(): readonly Holding[];
}
