/** So many places; who comes when all are taken waits for one, first come first served. */
export class Places {
  private readonly count: number;
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(count: number) {
    this.count = count;
    this.free = count;
  }

  get taken(): number {
    return this.count - this.free;
  }

  get isFull(): boolean {
    return this.free === 0;
  }

  /**
   * @param signal ends the wait
   * @returns a place, given back by disposal
   * @throws the signal's reason
   */
  async take(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.free > 0) {
      this.free--;
    } else {
      await this.turn(signal);
    }
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (isTaken) {
          isTaken = false;
          this.passOn();
        }
      },
    };
  }

  private turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.waiting.splice(this.waiting.indexOf(go), 1);
        reject(signal?.reason);
      };
      const go = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      this.waiting.push(go);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  private passOn(): void {
    const next = this.waiting.shift();
    if (next === undefined) {
      this.free++;
    } else {
      next();
    }
  }
}
