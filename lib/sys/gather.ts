interface Waiting {
  readonly item: unknown;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
  readonly work: BatchWork<unknown, unknown>;
}

/** Does the same for many: one outcome for each item, in their order. */
export type BatchWork<I, O> = (items: readonly I[]) => Promise<readonly PromiseSettledResult<O>[]>;

/**
 * Gathers what is asked for within one turn of the event loop, and while the same is being done for others: work that
 * costs the same for one and for many is done once, be it the kernel's wait for a grace period or a lock with a sync to
 * disk.
 */
export class Gatherer {
  private readonly waiting = new Map<string, Waiting[]>();
  private readonly busy = new Set<string>();

  /**
   * @param key what may be done together
   * @param work of the first who asks serves all
   * @throws what the item's outcome is rejected with, or what `work` throws
   */
  gather<I, O>(key: string, item: I, work: BatchWork<I, O>): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      const same = this.waiting.get(key);
      if (same !== undefined) {
        same.push({ item, resolve, reject, work: work as BatchWork<unknown, unknown> });
        return;
      }
      this.waiting.set(key, [{ item, resolve, reject, work: work as BatchWork<unknown, unknown> }]);
      if (!this.busy.has(key)) {
        setImmediate(() => this.serve(key));
      }
    });
  }

  private async serve(key: string): Promise<void> {
    this.busy.add(key);
    for (let batch = this.next(key); batch !== undefined; batch = this.next(key)) {
      await answer(batch);
    }
    this.busy.delete(key);
  }

  private next(key: string): readonly Waiting[] | undefined {
    const batch = this.waiting.get(key);
    this.waiting.delete(key);
    return batch;
  }
}

async function answer(batch: readonly Waiting[]): Promise<void> {
  const work = batch[0]?.work;
  if (work === undefined) {
    return;
  }
  try {
    const outcomes = await work(batch.map(({ item }) => item));
    for (const [index, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome?.status === 'fulfilled') {
        resolve(outcome.value as never);
      } else {
        reject(outcome?.reason);
      }
    }
  } catch (error) {
    for (const { reject } of batch) {
      reject(error);
    }
  }
}
