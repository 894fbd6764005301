import type { BatchWork } from './gather.ts';

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (answer: O) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A queue whose head is served together: what is asked for within one turn of the event loop, and what has come while the
 * round before was at work, up to a limit. One round at a time, first come first served.
 */
export class Joiner<I, O> {
  private readonly work: BatchWork<I, O>;
  private readonly most: number;
  private waiting: Waiting<I, O>[] = [];
  private isBusy = false;

  /** @param most items of one round: what is done for them may keep the event loop waiting */
  constructor(work: BatchWork<I, O>, most = Number.POSITIVE_INFINITY) {
    this.work = work;
    this.most = most;
  }

  /** @throws what the item's outcome is rejected with, or what `work` throws */
  join(item: I): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (!this.isBusy) {
        this.isBusy = true;
        setImmediate(() => void this.serve());
      }
    });
  }

  private async serve(): Promise<void> {
    const round = this.waiting.slice(0, this.most);
    this.waiting = this.waiting.slice(this.most);
    await this.answer(round);
    if (this.waiting.length > 0) {
      setImmediate(() => void this.serve());
    } else {
      this.isBusy = false;
    }
  }

  private async answer(round: readonly Waiting<I, O>[]): Promise<void> {
    try {
      const outcomes = await this.work(round.map(({ item }) => item));
      for (const [index, { resolve, reject }] of round.entries()) {
        const outcome = outcomes[index];
        if (outcome?.status === 'fulfilled') {
          resolve(outcome.value);
        } else {
          reject(outcome?.reason);
        }
      }
    } catch (error) {
      for (const { reject } of round) {
        reject(error);
      }
    }
  }
}
