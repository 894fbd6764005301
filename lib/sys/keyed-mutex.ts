/** One holder for each key, first come first served; others wait without polling. */
export class KeyedMutex {
  private readonly waiting = new Map<string, (() => void)[]>();

  /**
   * @param signal ends the wait
   * @returns the lock, released by disposal
   * @throws the signal's reason
   */
  async acquire(key: string, signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    const queue = this.waiting.get(key);
    if (queue === undefined) {
      this.waiting.set(key, []);
    } else {
      await turn(queue, signal);
    }
    return this.hold(key);
  }

  /** @returns undefined when it is held */
  tryAcquire(key: string): Disposable | undefined {
    if (this.waiting.has(key)) {
      return undefined;
    }
    this.waiting.set(key, []);
    return this.hold(key);
  }

  /** Number of held keys: 0 when everything is released. */
  get size(): number {
    return this.waiting.size;
  }

  private hold(key: string): Disposable {
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) {
          isHeld = false;
          this.passOn(key);
        }
      },
    };
  }

  private passOn(key: string): void {
    const next = this.waiting.get(key)?.shift();
    if (next === undefined) {
      this.waiting.delete(key);
    } else {
      next();
    }
  }
}

function turn(queue: (() => void)[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      queue.splice(queue.indexOf(go), 1);
      reject(signal?.reason);
    };
    const go = (): void => {
      signal?.removeEventListener('abort', leave);
      resolve();
    };
    queue.push(go);
    signal?.addEventListener('abort', leave, { once: true });
  });
}
