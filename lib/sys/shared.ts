/** Something of which a process has one, made at first use. The value itself is the key. */
export interface Slot<T> {
  readonly make: () => T;
}

/** What the calls of one process share. */
export class Shared {
  private readonly made = new Map<Slot<unknown>, unknown>();

  get<T>(slot: Slot<T>): T {
    if (!this.made.has(slot)) {
      this.made.set(slot, slot.make());
    }
    return this.made.get(slot) as T;
  }
}
