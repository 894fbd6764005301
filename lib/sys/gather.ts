interface Waiting {
  readonly item: unknown;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
  readonly work: BatchWork<unknown, unknown>;
}

/** Does the same for many items: one outcome for each, in order. */
export type BatchWork<I, O> = (items: readonly I[]) => Promise<readonly PromiseSettledResult<O>[]>;

/**
 * Batches what is requested within one turn of the event loop, and while the previous batch is busy: for work that
 * costs the same for one and for many, such as the kernel's grace period, or a lock with a sync to disk.
 */
export class Gatherer {
  private readonly waiting = new Map<string, Waiting[]>();
  private readonly busy = new Set<string>();

  /**
   * @param key identifies what can be batched
   * @param work the first caller's serves all
   * @throws the rejection of the item's outcome, or what `work` throws
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
