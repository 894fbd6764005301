interface Waiting {
  readonly item: unknown;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
}

/** Does the same for many: one outcome for each item, in their order. */
export type Together<I, O> = (items: readonly I[]) => Promise<readonly PromiseSettledResult<O>[]>;

/**
 * Gathers what is asked for within one turn of the event loop, so that work that costs the same for one and for many
 * is done once: the kernel's wait for a grace period, a lock with a sync to disk.
 */
export class Gatherer {
  private readonly waiting = new Map<string, Waiting[]>();

  /**
   * @param key what may be done together
   * @param work of the first who asks serves all
   * @throws what the item's outcome is rejected with, or what `work` throws
   */
  gather<I, O>(key: string, item: I, work: Together<I, O>): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      const same = this.waiting.get(key);
      if (same !== undefined) {
        same.push({ item, resolve, reject });
        return;
      }
      const batch: Waiting[] = [{ item, resolve, reject }];
      this.waiting.set(key, batch);
      setImmediate(() => {
        this.waiting.delete(key);
        answer(batch, work as Together<unknown, unknown>);
      });
    });
  }
}

async function answer(batch: readonly Waiting[], work: Together<unknown, unknown>): Promise<void> {
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
