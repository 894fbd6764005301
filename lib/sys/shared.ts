/** Something of which a process has one, made at first use and disposed of with the others. The slot itself is the key. */
export interface Slot<T extends Disposable> {
  readonly make: () => T;
}

/** So much there is of something, by the name and the words of a metric. */
export interface Holding {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What is shared may tell what it keeps. */
export interface Telling {
  /** Waits for nothing, and never throws. */
  holdings(): readonly Holding[];
}

/** What the calls of one process share. */
export class Shared implements Disposable {
  private readonly made = new Map<Slot<Disposable>, Disposable>();

  get<T extends Disposable>(slot: Slot<T>): T {
    if (!this.made.has(slot)) {
      this.made.set(slot, slot.make());
    }
    return this.made.get(slot) as T;
  }

  /** What all of it keeps. */
  holdings(): readonly Holding[] {
    return [...this.made.values()].flatMap((one) => (isTelling(one) ? one.holdings() : []));
  }

  [Symbol.dispose](): void {
    for (const one of this.made.values()) {
      one[Symbol.dispose]();
    }
    this.made.clear();
  }
}

const isTelling = (one: object): one is Telling => 'holdings' in one;
