/** Reproducible random numbers (mulberry32): a failing test prints its seed. */
export interface Seeded {
  readonly seed: number;
  /** a whole number from 0 up to, not including, `limit` */
  below(limit: number): number;
  pick<T>(items: readonly T[]): T;
}

export function seeded(seed = Date.now() % 2 ** 31): Seeded {
  let state = seed | 0;
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
  return { seed, below, pick: (items) => items[below(items.length)] as (typeof items)[number] };
}
