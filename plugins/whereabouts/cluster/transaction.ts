import { CniError } from '../../../lib/cni/errors.ts';
import { isReserving, type Loaded, type Step } from '../engine.ts';
import type { Change, Pools } from '../pool.ts';
import { ClusterPools } from './cluster-pools.ts';
import { inParallel, type Staged, type Try } from './context.ts';
import { attachmentKey } from './journal.ts';
import type { LoadedPools } from './load-pools.ts';
import { changePool } from './pool-change.ts';
import { refuseTooLarge } from './pool-size.ts';
import { claimAll, confirmAdopted, releaseFreed, releaseUnused, unprotected } from './protection.ts';
import { freedRows, intendedRows, outcomeOf } from './remembered.ts';
import { takeBack } from './take-back.ts';

/** Pools of the cluster as they were at one moment. Nothing is locked: the server refuses what is not so any more. */
export class Transaction implements Loaded {
  readonly one: Try;
  /** as they were read */
  readonly loaded: LoadedPools;
  /** Only reservations were in the way: nothing says that the pools have changed. */
  arePoolsFresh = false;
  private readonly staged: Staged[] = [];
  private readonly known = new Map<string, ClusterPools>();

  constructor(one: Try, loaded: LoadedPools) {
    this.one = one;
    this.loaded = loaded;
  }

  pools(networkName: string): Pools {
    return this.poolsOf(networkName);
  }

  stage(step: Step, changes: readonly Change[]): void {
    this.poolsOf(step.networkName).apply(changes);
    this.staged.push({ step, changes });
  }

  reject({ networkName, asked: { owners } }: Step): void {
    const own = new Set(owners.map(attachmentKey));
    for (const made of this.one.progress.made) {
      if (made.networkName === networkName && own.has(attachmentKey(made.held.entry))) {
        this.one.states.get(networkName)?.get(made.held.range)?.remove(made.held);
      }
    }
  }

  async commit(): Promise<'done' | 'conflict'> {
    const { one, staged } = this;
    const changed = [...one.states].flatMap(([networkName, states]) =>
      [...states.values()].flatMap((state) => (state.diffs().length > 0 ? [{ networkName, state }] : [])),
    );
    for (const { state } of changed) {
      refuseTooLarge(state);
    }
    await this.intend();
    const wanted = unprotected(one, staged);
    const [areClaimed = false] = await inParallel(
      [() => claimAll(one, wanted), () => releaseUnused(one).then(() => true)],
      (work) => work(),
    );
    if (!areClaimed) {
      one.progress.foreign.endTry(false);
      this.arePoolsFresh = true;
      return 'conflict';
    }
    const outcomes = await inParallel(changed, ({ networkName, state }) => changePool(one, networkName, state));
    if (outcomes.includes('conflict')) {
      one.progress.foreign.endTry(true);
      return 'conflict';
    }
    if (!(await confirmAdopted(one))) {
      return 'conflict';
    }
    await this.refuseDeleted();
    await releaseFreed(one, this.released());
    await this.record();
    return 'done';
  }

  abandon(): Promise<void> {
    return takeBack(this.one);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // nothing is held
  }

  private poolsOf(networkName: string): ClusterPools {
    const known =
      this.known.get(networkName) ??
      new ClusterPools(
        this.one.states.get(networkName) ?? new Map(),
        this.one.progress.findingsOf(networkName),
        () => this.loaded.networks,
      );
    this.known.set(networkName, known);
    return known;
  }

  private async intend(): Promise<void> {
    const rows = intendedRows(this.one, this.staged);
    if (rows.length > 0) {
      this.one.progress.intended.push(...rows);
      await this.one.journal.record({ remove: [], write: rows });
    }
  }

  /** Whoever was deleted while the address was being reserved for it will never give it back. */
  private async refuseDeleted(): Promise<void> {
    const { journal, progress } = this.one;
    for (const { networkName, asked } of this.staged.map(({ step }) => step).filter(isReserving)) {
      const now = await journal.deletions(networkName, asked.owners);
      for (const owner of asked.owners) {
        const key = attachmentKey(owner);
        if (now.get(key)?.at !== progress.deletions.get(key)?.at) {
          throw new CniError('unknownContainer', `cannot reserve for container ${owner.id}: it was deleted meanwhile`);
        }
      }
    }
  }

  private released() {
    return this.staged
      .filter(({ step }) => step.isRelease)
      .flatMap(({ step: { networkName, asked } }) => freedRows(this.one, networkName, asked.owners));
  }

  private async record(): Promise<void> {
    const { remove, write } = outcomeOf(this.one, this.staged);
    if (remove.length > 0 || write.length > 0) {
      await this.one.journal.record({ remove, write });
    }
  }
}
