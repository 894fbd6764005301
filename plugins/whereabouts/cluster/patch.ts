import type { JsonPatch } from '../../../lib/kube/api.ts';
import type { Entry } from '../pool.ts';
import type { IpPool, RawEntry } from './objects.ts';
import { rawOf, type StoredPool } from './stored-pool.ts';

/** What becomes of one key. */
export interface Diff {
  readonly key: string;
  /** undefined: nobody has it */
  readonly before: RawEntry | undefined;
  /** undefined: it is free again */
  readonly after: Entry | undefined;
}

type Op = JsonPatch[number];

/** The server takes 10,000 operations, and a removal has three. */
const MOST_REMOVALS = 3000;

/**
 * What makes a pool of what it was, provided that nobody has changed these keys meanwhile: other keys may have changed, so
 * writers of different addresses never get into each other's way.
 *
 * @param isStrict refuse when anything of the pool has changed
 * @returns several when that is too much for one; one that adds is never divided
 */
export function patchesOf(pool: StoredPool, diffs: readonly Diff[], isStrict: boolean): readonly JsonPatch[] {
  if (diffs.some(({ after }) => after !== undefined) || diffs.length <= MOST_REMOVALS) {
    return [patchOf(pool, diffs, isStrict)];
  }
  const chunks = Array.from({ length: Math.ceil(diffs.length / MOST_REMOVALS) }, (_, index) =>
    diffs.slice(index * MOST_REMOVALS, (index + 1) * MOST_REMOVALS),
  );
  return chunks.map((chunk) => patchOf(pool, chunk, false));
}

function patchOf(pool: StoredPool, diffs: readonly Diff[], isStrict: boolean): JsonPatch {
  const isAdding = diffs.some(({ before }) => before === undefined);
  return [
    ...(isStrict ? [test('/metadata/resourceVersion', pool.version)] : []),
    ...(isAdding ? [test('/spec/range', pool.rangeText), ...mapOf(pool)] : []),
    ...diffs.flatMap(opsOf),
  ];
}

/** Objects of old versions may have no map to add to. */
const mapOf = ({ hasAllocations }: StoredPool): readonly Op[] =>
  hasAllocations ? [] : [test('/spec/allocations', null), { op: 'add', path: '/spec/allocations', value: {} }];

function opsOf({ key, before, after }: Diff): readonly Op[] {
  const path = `/spec/allocations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  if (before === undefined) {
    // null is also what an absent member is
    return after === undefined ? [] : [test(path, null), { op: 'add', path, value: rawOf(after) }];
  }
  const identity = [test(`${path}/id`, before.id ?? null), ...ifnameOf(path, before)];
  if (after === undefined) {
    return [...identity, { op: 'remove', path }];
  }
  return [test(`${path}/podref`, before.podref ?? null), ...identity, ...changedOf(path, before, after)];
}

/** Entries of old versions have none. */
const ifnameOf = (path: string, { ifname }: RawEntry): readonly Op[] =>
  ifname === undefined ? [] : [test(`${path}/ifname`, ifname)];

const changedOf = (path: string, before: RawEntry, after: Entry): readonly Op[] =>
  (['id', 'podref', 'ifname'] as const).flatMap((member): readonly Op[] =>
    (before[member] ?? '') === after[member]
      ? []
      : [{ op: before[member] === undefined ? 'add' : 'replace', path: `${path}/${member}`, value: after[member] }],
  );

const test = (path: string, value: unknown): Op => ({ op: 'test', path, value });

/** The object of a pool that nobody has used yet, with its first reservations. */
export const firstSpec = ({ rangeText }: StoredPool, diffs: readonly Diff[]): IpPool['spec'] => ({
  range: rangeText,
  allocations: Object.fromEntries(
    diffs.flatMap(({ key, after }) => (after === undefined ? [] : [[key, rawOf(after)] as const])),
  ),
});

/** Is there a reason in the pool as it is now why the patch was refused? Someone was faster then. */
export function isExplained(diffs: readonly Diff[], was: StoredPool, is: StoredPool, isStrict: boolean): boolean {
  return (
    !is.isThere ||
    was.rangeText !== is.rangeText ||
    was.hasAllocations !== is.hasAllocations ||
    (isStrict && was.version !== is.version) ||
    diffs.some(({ key, before }) => !isSameRaw(before, is.entries.at(key)?.raw))
  );
}

const isSameRaw = (a: RawEntry | undefined, b: RawEntry | undefined): boolean =>
  a?.id === b?.id && a?.podref === b?.podref && a?.ifname === b?.ifname && (a === undefined) === (b === undefined);
