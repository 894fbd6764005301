import { keyOf } from '../names.ts';
import type { Entry, Held } from '../pool.ts';
import type { Diff } from './patch.ts';
import { rawOf, type Stored, type StoredPool } from './stored-pool.ts';

/** One pool as it was loaded, and what is to become of it. */
export class PoolState {
  readonly pool: StoredPool;
  private readonly before: ReadonlyMap<string, Stored>;
  private readonly after: Map<string, Stored>;
  private readonly touched = new Set<string>();
  /** What is released here can be given by the next transaction: until then its protection is another's. */
  private readonly taken: Map<bigint, Stored>;

  constructor(pool: StoredPool) {
    this.pool = pool;
    this.before = new Map(pool.stored.map((one) => [one.key, one]));
    this.after = new Map(this.before);
    this.taken = new Map(pool.stored.map((one) => [one.held.ip.value, one]));
  }

  get stored(): Iterable<Stored> {
    return this.after.values();
  }

  isTaken(value: bigint): boolean {
    return this.taken.has(value);
  }

  /** Everybody who has the address: keys that are written in two ways may be two of them. */
  at(value: bigint): readonly Stored[] {
    return this.taken.has(value) ? [...this.after.values()].filter(({ held }) => held.ip.value === value) : [];
  }

  add({ ip, entry }: Held): void {
    const key = keyOf(this.pool.base, ip.value);
    this.set({ key, raw: rawOf(entry), held: { range: this.pool.range, ip, entry } });
  }

  replace({ ip, entry }: Held, before: Entry): void {
    const stored = this.find(ip.value, before);
    if (stored !== undefined) {
      this.set({ ...stored, held: { ...stored.held, entry } });
    }
  }

  remove({ ip, entry }: Held): void {
    const stored = this.find(ip.value, entry);
    if (stored !== undefined) {
      this.touched.add(stored.key);
      this.after.delete(stored.key);
    }
  }

  /** What the server must be told. */
  diffs(): readonly Diff[] {
    return [...this.touched].flatMap((key) => {
      const [before, after] = [this.before.get(key), this.after.get(key)];
      return before === undefined && after === undefined
        ? []
        : [{ key, before: before?.raw, after: after?.held.entry }];
    });
  }

  /** Reservations that are there now and were not, and those that were. */
  changes(): { readonly added: readonly Stored[]; readonly removed: readonly Stored[] } {
    const keys = [...this.touched];
    return {
      added: keys.flatMap((key) => (this.before.has(key) ? [] : (this.after.get(key) ?? []))),
      removed: keys.flatMap((key) => (this.after.has(key) ? [] : (this.before.get(key) ?? []))),
    };
  }

  find(value: bigint, { id, podref, ifname }: Entry): Stored | undefined {
    // An old CRD drops the interface.
    return this.at(value).find(
      ({ raw, held: { entry } }) =>
        entry.id === id && entry.podref === podref && (entry.ifname === ifname || raw.ifname === undefined),
    );
  }

  private set(stored: Stored): void {
    this.touched.add(stored.key);
    this.after.set(stored.key, stored);
    this.taken.set(stored.held.ip.value, stored);
  }
}
