/** Something of which a process has one, made at first use and disposed of with the others. The slot itself is the key. */
export interface Slot<T extends Disposable> {
  readonly make: () => T;
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

  [Symbol.dispose](): void {
    for (const one of this.made.values()) {
      one[Symbol.dispose]();
    }
    this.made.clear();
  }
}
