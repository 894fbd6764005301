import { bitsOf, type Ip } from '../../../lib/net/ip.ts';
import type { Entry, Held } from '../pool.ts';
import type { RawEntry } from './objects.ts';

/** A reservation as it is stored. */
export interface Stored {
  /** as it is written: `05` is the address of `5`, and another key */
  readonly key: string;
  readonly held: Held;
  readonly raw: RawEntry;
}

/**
 * What a pool holds, as far as its addresses can be told. There may be thousands, of which a call needs a few: the others
 * are never looked at one by one.
 */
export interface Entries {
  /** of all keys, also of those that stand for no address */
  readonly count: number;
  /** by number, then as written; made when first asked for */
  all(): readonly Stored[];
  at(key: string): Stored | undefined;
  has(value: bigint): boolean;
  /** Keys that stand for the address: the number, and other ways of writing it. */
  keysAt(value: bigint): readonly string[];
  /** The first address from here on that nobody has; `last` at the latest. */
  firstWithout(value: bigint, last: bigint): bigint;
  /** Keys of what a container has. */
  ofContainer(id: string): readonly string[];
  /** Keys of what a pod has. */
  ofPod(podref: string): readonly string[];
}

type Allocations = Readonly<Record<string, RawEntry>>;

/** Numbers up to here are what JavaScript calls an index: such keys come first, in order, and are found without a text. */
const LARGEST_INDEX = 2 ** 32 - 2;

/**
 * @param range whose pool it is
 * @param base what keys count from
 */
export function entriesIn(allocations: Allocations, range: string, base: Ip): Entries {
  const keys = Object.keys(allocations);
  const strange = strangeIn(keys, base);
  const made = new Map<string, Stored | undefined>();
  const at = (key: string): Stored | undefined => {
    if (!made.has(key)) {
      made.set(
        key,
        Object.hasOwn(allocations, key) ? storedAt(allocations[key] ?? {}, key, { range, base }) : undefined,
      );
    }
    return made.get(key);
  };
  const isIndex = (value: bigint): boolean => {
    const index = Number(value - base.value);
    return index >= 0 && index <= LARGEST_INDEX && Object.hasOwn(allocations, index);
  };
  const has = (value: bigint): boolean => isIndex(value) || strange.has(value);
  const everything = once(() => keys.flatMap((key) => at(key) ?? []));
  return {
    count: keys.length,
    all: everything,
    at,
    has,
    keysAt: (value) => [...(isIndex(value) ? [String(value - base.value)] : []), ...(strange.get(value) ?? [])],
    firstWithout: (from, last) => {
      let value = pastIndexes(allocations, from, { base: base.value, last });
      while (value < last && has(value)) {
        value = pastIndexes(allocations, value + 1n, { base: base.value, last });
      }
      return value;
    },
    ofContainer: finderBy(({ id = '' }) => id, keys, allocations),
    ofPod: finderBy(({ podref = '' }) => podref, keys, allocations),
  };
}

/** Thousands of addresses in a row are taken, as a rule: numbers are counted, not addresses. */
function pastIndexes(
  allocations: Allocations,
  value: bigint,
  { base, last }: { readonly base: bigint; readonly last: bigint },
): bigint {
  const first = Number(value - base);
  const end = Math.min(Number(last - base), LARGEST_INDEX);
  let index = first;
  while (index >= 0 && index < end && allocations[index] !== undefined) {
    index++;
  }
  return value + BigInt(index - first);
}

/** Those that were chosen. */
export const entriesOf = (chosen: readonly Stored[]): Entries => {
  const byKey = new Map(chosen.map((one) => [one.key, one]));
  const keysOf = (matches: (held: Held) => boolean): readonly string[] =>
    chosen.filter(({ held }) => matches(held)).map(({ key }) => key);
  const keysAt = (value: bigint): readonly string[] => keysOf(({ ip }) => ip.value === value);
  return {
    count: chosen.length,
    all: () => chosen,
    at: (key) => byKey.get(key),
    has: (value) => keysAt(value).length > 0,
    keysAt,
    firstWithout: (from, last) => {
      const taken = new Set(chosen.map(({ held }) => held.ip.value));
      let value = from;
      while (value < last && taken.has(value)) {
        value++;
      }
      return value;
    },
    ofContainer: (id) => keysOf(({ entry }) => entry.id === id),
    ofPod: (podref) => keysOf(({ entry }) => entry.podref === podref),
  };
};

/** The same, each of them changed. */
export const mapEntries = (entries: Entries, change: (stored: Stored) => Stored): Entries => {
  const made = new Map<string, Stored>();
  const changed = (stored: Stored): Stored => {
    const known = made.get(stored.key) ?? change(stored);
    made.set(stored.key, known);
    return known;
  };
  return {
    ...entries,
    all: () => entries.all().map(changed),
    at: (key) => {
      const stored = entries.at(key);
      return stored && changed(stored);
    },
  };
};

function storedAt(raw: RawEntry, key: string, { range, base }: { range: string; base: Ip }): Stored | undefined {
  const ip = addressAt(base, key);
  return ip && { key, raw, held: { range, ip, entry: entryOf(raw) } };
}

/** Other ways of writing a number, and those that are no index, which come last, by address. */
function strangeIn(keys: readonly string[], base: Ip): ReadonlyMap<bigint, readonly string[]> {
  const strange = new Map<bigint, string[]>();
  for (let at = keys.length - 1; at >= 0; at--) {
    const key = keys[at] ?? '';
    if (/^(0|[1-9][0-9]{0,9})$/.test(key) && Number(key) <= LARGEST_INDEX) {
      break;
    }
    const ip = addressAt(base, key);
    if (ip !== undefined) {
      strange.set(ip.value, [key, ...(strange.get(ip.value) ?? [])]);
    }
  }
  return strange;
}

type NameOf = (raw: RawEntry) => string;

/** So many names are looked for one by one: an index of thousands takes as long as reading them did. */
const FEW_NAMES = 4;

function finderBy(
  nameOf: NameOf,
  keys: readonly string[],
  allocations: Allocations,
): (name: string) => readonly string[] {
  const found = new Map<string, readonly string[]>();
  const index = once(() => Map.groupBy(keys, (key) => nameOf(allocations[key] ?? {})));
  return (name) => {
    const known = found.get(name);
    if (known !== undefined || found.size >= FEW_NAMES) {
      return known ?? index().get(name) ?? [];
    }
    const own = keys.filter((key) => nameOf(allocations[key] ?? {}) === name);
    found.set(name, own);
    return own;
  };
}

/**
 * The address of a key as the Go plugin reads it, and beyond: what it cannot read (2^63 and more, which other programs
 * write) is an address that somebody uses all the same.
 *
 * @returns undefined when the key is no number, or leads out of all addresses
 */
function addressAt({ family, value }: Ip, key: string): Ip | undefined {
  if (!/^[+-]?[0-9]{1,40}$/.test(key)) {
    return undefined;
  }
  const ip = { family, value: value + BigInt(key) };
  return ip.value < 0n || ip.value >> BigInt(bitsOf(family)) > 0n ? undefined : ip;
}

const entryOf = ({ id = '', podref = '', ifname = '' }: RawEntry): Entry => ({ id, podref, ifname });

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
