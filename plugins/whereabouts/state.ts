import { type Cidr, networkOf } from '../../lib/net/cidr.ts';
import { addressOf, keyOf, storedRange } from './names.ts';
import type { Entry, Held, Change as PoolChange } from './pool.ts';
import { formatSnapshot, parseObject, readPool, type Snapshot, StoreDamaged } from './snapshot.ts';

/** A change as a record has it. */
export type Change =
  | { readonly range: string; readonly op: 'add' | 'replace'; readonly k: string; readonly v: Entry }
  | { readonly range: string; readonly op: 'remove'; readonly k: string };

export const recordOf = ({ op, range, ip, entry }: PoolChange): Change => {
  const k = keyOf(networkOf(storedRange(range)).value, ip.value);
  return op === 'remove' ? { range, op, k } : { range, op, k, v: entry };
};

/** A pool as a snapshot has it. */
export interface KeyedPool {
  readonly range: string;
  readonly cidr: Cidr;
  readonly network: bigint;
  readonly entries: ReadonlyMap<string, Entry>;
}

export const heldIn = ({ range, cidr, entries }: KeyedPool): readonly Held[] =>
  [...entries].flatMap(([key, entry]) => {
    const ip = addressOf(cidr, key);
    return ip === undefined ? [] : [{ range, ip, entry }];
  });

/** What a network's store holds: a snapshot and the changes since. */
export interface State {
  readonly ranges: readonly string[];
  pool(range: string): KeyedPool;
  /** number of the last record */
  readonly seq: number;
  /** bytes of the snapshot it was read from */
  readonly snapshotSize: number;
  /**
   * The state as a snapshot.
   *
   * @throws StoreDamaged
   */
  format(): Buffer;
}

/** One record of the journal. The checksum of its frame has proved that this program wrote it. */
interface JournalRecord {
  readonly seq: number;
  readonly ops: readonly Change[];
}

export const formatRecord = (seq: number, ops: readonly Change[]): Buffer =>
  Buffer.from(JSON.stringify({ seq, ops } satisfies JournalRecord));

/**
 * A snapshot brought up to date. Records that it contains already are passed over, so a crash between writing it and
 * emptying the journal does no harm. Pools are read when they are asked for; asking may throw StoreDamaged.
 *
 * @throws StoreDamaged when a record is missing between the snapshot and the last record
 */
export function replay(snapshot: Snapshot, payloads: readonly Buffer[]): State {
  const changes: Changes = new Map();
  let seq = snapshot.seq;
  for (const record of payloads.map(readRecord)) {
    if (record.seq <= seq) {
      continue;
    }
    if (record.seq !== seq + 1) {
      throw new StoreDamaged(`records ${seq + 1} to ${record.seq - 1} are missing`);
    }
    seq = record.seq;
    note(changes, record.ops);
  }
  return stateOf(seq, snapshot, changes);
}

/** By range, in the order in which they were made. */
type Changes = Map<string, Change[]>;

function note(changes: Changes, more: readonly Change[]): void {
  for (const change of more) {
    const known = changes.get(change.range);
    if (known === undefined) {
      changes.set(change.range, [change]);
    } else {
      known.push(change);
    }
  }
}

function stateOf(seq: number, snapshot: Snapshot, changes: Changes): State {
  const read = new Map<string, OwnPool>();
  const ranges = (): readonly string[] => [...new Set([...snapshot.pools.keys(), ...changes.keys()])];
  const pool = (range: string): OwnPool => {
    const known = read.get(range) ?? upToDate(range, snapshot, changes.get(range) ?? []);
    read.set(range, known);
    return known;
  };
  return {
    seq,
    snapshotSize: snapshot.size,
    get ranges() {
      return ranges();
    },
    pool,
    format: () =>
      formatSnapshot(
        seq,
        ranges().map((range) => {
          const stored = snapshot.pools.get(range);
          return stored === undefined || changes.has(range) ? pool(range) : { range, ...stored };
        }),
      ),
  };
}

/** A pool whose entries nobody else has. */
type OwnPool = KeyedPool & { readonly entries: Map<string, Entry> };

function upToDate(range: string, snapshot: Snapshot, changes: readonly Change[]): OwnPool {
  const stored = snapshot.pools.get(range);
  const entries = new Map<string, Entry>(stored === undefined ? [] : readPool(stored, range));
  for (const change of changes) {
    carryOut(change, entries);
  }
  const cidr = storedRange(range);
  return { range, cidr, network: networkOf(cidr).value, entries };
}

function carryOut(change: Change, entries: Map<string, Entry> | undefined): void {
  if (change.op === 'remove') {
    entries?.delete(change.k);
  } else {
    entries?.set(change.k, change.v);
  }
}

function readRecord(payload: Buffer): JournalRecord {
  const value = parseObject(payload);
  if (typeof value['seq'] !== 'number' || !Array.isArray(value['ops'])) {
    throw new StoreDamaged('the journal holds something that is not a record of this program');
  }
  return value as unknown as JournalRecord;
}
