import { keyOf } from '../names.ts';
import type { AttachmentId, Entry, Held } from '../pool.ts';
import { isOf } from '../pool.ts';
import type { Diff } from './patch.ts';
import type { Stored } from './pool-entries.ts';
import { rawOf, type StoredPool } from './stored-pool.ts';

/** One pool as it was loaded, and what is to become of it. */
export class PoolState {
  readonly pool: StoredPool;
  /** by key; undefined: released */
  private readonly changed = new Map<string, Stored | undefined>();
  /** keys of what was changed, by container and by pod */
  private readonly containers = new Map<string, Set<string>>();
  private readonly pods = new Map<string, Set<string>>();
  private readonly given = new Set<bigint>();

  constructor(pool: StoredPool) {
    this.pool = pool;
  }

  /** As it will be, all of it: a call needs a few only. */
  get stored(): readonly Stored[] {
    const keys = new Set([...this.pool.entries.all().map(({ key }) => key), ...this.changed.keys()]);
    return this.inKeys(keys);
  }

  /** What is released here can be given by the next transaction: until then its protection is another's. */
  isTaken(value: bigint): boolean {
    return this.pool.entries.has(value) || this.given.has(value);
  }

  /** The first address from here on that is not taken; `last` at the latest. */
  firstNotTaken(from: bigint, last: bigint): bigint {
    let value = this.pool.entries.firstWithout(from, last);
    while (value < last && this.given.has(value)) {
      value = this.pool.entries.firstWithout(value + 1n, last);
    }
    return value;
  }

  /** Everybody who has the address: keys that are written in two ways may be two of them. */
  at(value: bigint): readonly Stored[] {
    return this.inKeys(new Set([...this.pool.entries.keysAt(value), keyOf(this.pool.base, value)]));
  }

  /** What the attachment has. */
  ofAttachment(attachment: AttachmentId): readonly Stored[] {
    const keys = new Set([
      ...this.pool.entries.ofContainer(attachment.id),
      ...(this.containers.get(attachment.id) ?? []),
    ]);
    return this.inKeys(keys).filter(({ held }) => isOf(attachment)(held.entry));
  }

  /** What a pod has for the interface. */
  ofPod({ podref, ifname }: Pick<Entry, 'podref' | 'ifname'>): readonly Stored[] {
    const keys = new Set([...this.pool.entries.ofPod(podref), ...(this.pods.get(podref) ?? [])]);
    return this.inKeys(keys).filter(({ held: { entry } }) => entry.podref === podref && entry.ifname === ifname);
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
      this.changed.set(stored.key, undefined);
    }
  }

  /** What the server must be told. */
  diffs(): readonly Diff[] {
    return [...this.changed].flatMap(([key, after]) => {
      const before = this.pool.entries.at(key);
      return before === undefined && after === undefined
        ? []
        : [{ key, before: before?.raw, after: after?.held.entry }];
    });
  }

  /** Reservations that are there now and were not, and those that were. */
  changes(): { readonly added: readonly Stored[]; readonly removed: readonly Stored[] } {
    const all = [...this.changed].map(([key, after]) => ({ before: this.pool.entries.at(key), after }));
    return {
      added: all.flatMap(({ before, after }) => (before === undefined ? (after ?? []) : [])),
      removed: all.flatMap(({ before, after }) => (after === undefined ? (before ?? []) : [])),
    };
  }

  find(value: bigint, { id, podref, ifname }: Entry): Stored | undefined {
    // An old CRD drops the interface.
    return this.at(value).find(
      ({ raw, held: { entry } }) =>
        entry.id === id && entry.podref === podref && (entry.ifname === ifname || raw.ifname === undefined),
    );
  }

  private inKeys(keys: Iterable<string>): readonly Stored[] {
    return [...keys].flatMap(
      (key) => (this.changed.has(key) ? this.changed.get(key) : this.pool.entries.at(key)) ?? [],
    );
  }

  private set(stored: Stored): void {
    const { key, held } = stored;
    this.changed.set(key, stored);
    this.given.add(held.ip.value);
    note(this.containers, held.entry.id, key);
    note(this.pods, held.entry.podref, key);
  }
}

function note(index: Map<string, Set<string>>, name: string, key: string): void {
  index.set(name, (index.get(name) ?? new Set()).add(key));
}
