import { formatCidr } from '../../../lib/net/cidr.ts';
import { isReserving } from '../engine.ts';
import { type PoolId, parsePoolKey, poolName } from '../names.ts';
import { type AttachmentId, isOf } from '../pool.ts';
import type { Freed } from './claims.ts';
import { nameOf } from './claims.ts';
import { type Staged, statesOf, type Try } from './context.ts';
import type { JournalChange, JournalRow } from './journal.ts';
import type { Stored } from './pool-entries.ts';
import type { Progress } from './progress.ts';
import { isInside, type StoredPool, storedIn, storedPool } from './stored-pool.ts';

type Place = Pick<JournalRow, 'networkName' | 'range' | 'key' | 'id' | 'ifname'>;

export const rowFor = (rows: readonly JournalRow[], place: Place): JournalRow | undefined =>
  placesOf(rows).get(placeOf(place));

/** Calls that are served together ask for each of theirs. */
const places = new WeakMap<readonly JournalRow[], ReadonlyMap<string, JournalRow>>();

function placesOf(rows: readonly JournalRow[]): ReadonlyMap<string, JournalRow> {
  const known = places.get(rows) ?? new Map(rows.toReversed().map((row) => [placeOf(row), row]));
  places.set(rows, known);
  return known;
}

const placeOf = ({ networkName, range, key, id, ifname }: Place): string =>
  JSON.stringify([networkName, range, key, id, ifname]);

/**
 * Pools as far as this node remembers what it has in them: enough to give that back.
 *
 * @param rows of one network
 */
export function rememberedPools(networkName: string, rows: readonly JournalRow[]): readonly StoredPool[] {
  return [...Map.groupBy(rows, ({ range }) => range)].flatMap(([range, own]) => {
    const id = parsePoolKey(range);
    return id === undefined ? [] : [rememberedPool(poolName(networkName, id.cidr, id.node), id, own)];
  });
}

function rememberedPool(name: string, { cidr, node }: PoolId, rows: readonly JournalRow[]): StoredPool {
  const allocations = Object.fromEntries(
    rows.map(({ key, id, podref, ifname }) => [key, { id, podref, ifname }] as const),
  );
  const range = rows[0]?.rangeText ?? formatCidr(cidr);
  return storedPool({ metadata: { name }, spec: { range, allocations } }, cidr, node);
}

/** What is written before the server is asked: where a call that is killed may have left something. */
export const intendedRows = (one: Try, staged: readonly Staged[]): readonly JournalRow[] =>
  staged
    .filter(({ step }) => isReserving(step))
    .flatMap(({ step: { networkName, asked } }) =>
      statesOf(one, networkName).flatMap((state) =>
        state
          .changes()
          .added.filter(({ held }) => asked.owners.some((owner) => isOf(owner)(held.entry)))
          .map((stored) => rowOf(networkName, state.pool, stored, undefined, false)),
      ),
    );

/** What the attachment of a step holds now. */
export const heldRows = (one: Try, { step: { networkName, asked } }: Staged): readonly JournalRow[] =>
  statesOf(one, networkName).flatMap((state) =>
    asked.owners.flatMap((owner) =>
      state
        .ofAttachment(owner)
        .filter((stored) => isInside(state.pool, stored))
        .map((stored) => ({
          ...rowOf(networkName, state.pool, stored, one.progress, !one.progress.isUnsure),
          conf: owner.network ?? '',
        })),
    ),
  );

function rowOf(
  networkName: string,
  { range, rangeText }: StoredPool,
  { key, held: { ip, entry } }: Stored,
  progress: Progress | undefined,
  isSure: boolean,
): JournalRow {
  const { id, podref, ifname, network: conf = '' } = entry;
  const { uid, version, claimant } = progress?.claims.get(nameOf({ networkName, ip })) ?? {};
  const reservation =
    uid === undefined || version === undefined || claimant === undefined ? undefined : { uid, version, claimant };
  return { networkName, id, ifname, podref, conf, range, rangeText, key, reservation, isSure };
}

/** What the journal names and no pool has any more. */
export function freedRows(one: Try, networkName: string, attachments: readonly AttachmentId[]): readonly Freed[] {
  const own = one.remembered.filter(
    (row) => row.networkName === networkName && attachments.some((owner) => isOf(owner)(row)),
  );
  return rememberedPools(networkName, own).flatMap((pool) =>
    storedIn(pool).flatMap(({ key, held: { ip, entry } }) => {
      const row = rowFor(own, { networkName, range: pool.range, key, ...entry });
      return row !== undefined && (!row.isSure || row.reservation !== undefined)
        ? [{ networkName, ip, entry, seen: row.reservation }]
        : [];
    }),
  );
}

/** What the journal must be told when all is done. */
export function outcomeOf(one: Try, staged: readonly Staged[]): JournalChange {
  const now = new Map<string, JournalRow>();
  const gone = new Set<string>();
  for (const { step, changes } of staged) {
    const { networkName, asked } = step;
    for (const row of isReserving(step) ? heldRows(one, { step, changes }) : []) {
      now.set(placeOf(row), row);
    }
    const isAsked = (row: JournalRow): boolean =>
      row.networkName === networkName &&
      asked.owners.some((owner) => isOf(owner)(row)) &&
      (step.isRelease || (isReserving(step) && one.states.get(networkName)?.has(row.range) === true));
    for (const row of one.remembered.filter(isAsked)) {
      gone.add(placeOf(row));
    }
  }
  for (const networkName of new Set(staged.map(({ step }) => step.networkName))) {
    for (const state of statesOf(one, networkName)) {
      for (const { key, held } of state.changes().removed) {
        gone.add(placeOf({ networkName, range: state.pool.range, key, ...held.entry }));
      }
    }
  }
  const before = new Map([...one.progress.intended, ...one.remembered].map((row) => [placeOf(row), row]));
  const intended = new Set(one.progress.intended.map(placeOf));
  return {
    remove: [...before.values()].filter(
      (row) => !now.has(placeOf(row)) && (gone.has(placeOf(row)) || intended.has(placeOf(row))),
    ),
    write: [...now.values()].filter((row) => !isSame(row, before.get(placeOf(row)))),
  };
}

const isSame = (a: JournalRow, b: JournalRow | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);
