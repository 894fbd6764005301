import { networkOf } from '../../lib/net/cidr.ts';
import { storedRange } from './names.ts';
import type { Change, Entry, Pool, Pools } from './pool.ts';
import { formatSnapshot, parseObject, readPool, type Snapshot, StoreDamaged } from './snapshot.ts';

/** What a network's store holds: a snapshot and the changes since. */
export interface State extends Pools {
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
  const changes = new Map<string, Change[]>();
  let seq = snapshot.seq;
  for (const record of payloads.map(readRecord)) {
    if (record.seq <= seq) {
      continue;
    }
    if (record.seq !== seq + 1) {
      throw new StoreDamaged(`records ${seq + 1} to ${record.seq - 1} are missing`);
    }
    seq = record.seq;
    for (const change of record.ops) {
      const known = changes.get(change.range);
      if (known === undefined) {
        changes.set(change.range, [change]);
      } else {
        known.push(change);
      }
    }
  }
  return stateOf(seq, snapshot, changes);
}

function stateOf(seq: number, snapshot: Snapshot, changes: ReadonlyMap<string, readonly Change[]>): State {
  const read = new Map<string, Pool>();
  const ranges = [...new Set([...snapshot.pools.keys(), ...changes.keys()])];
  const pool = (range: string): Pool => {
    const known = read.get(range) ?? upToDate(range, snapshot, changes.get(range) ?? []);
    read.set(range, known);
    return known;
  };
  const mentions = (range: string, text: string): boolean =>
    (snapshot.pools.get(range)?.bytes.includes(text) ?? false) ||
    (changes.get(range) ?? []).some((change) => change.op !== 'remove' && change.v.id === text);
  return {
    seq,
    snapshotSize: snapshot.size,
    ranges,
    pool,
    mentioning: (text) => ranges.filter((range) => mentions(range, text)).map(pool),
    format: () =>
      formatSnapshot(
        seq,
        ranges.map((range) => {
          const stored = snapshot.pools.get(range);
          return stored === undefined || changes.has(range) ? pool(range) : { range, ...stored };
        }),
      ),
  };
}

function upToDate(range: string, snapshot: Snapshot, changes: readonly Change[]): Pool {
  const stored = snapshot.pools.get(range);
  const entries = new Map<string, Entry>(stored === undefined ? [] : readPool(stored, range));
  for (const change of changes) {
    if (change.op === 'remove') {
      entries.delete(change.k);
    } else {
      entries.set(change.k, change.v);
    }
  }
  const cidr = storedRange(range);
  return { range, cidr, network: networkOf(cidr).value, entries };
}

function readRecord(payload: Buffer): JournalRecord {
  const value = parseObject(payload);
  if (typeof value['seq'] !== 'number' || !Array.isArray(value['ops'])) {
    throw new StoreDamaged('the journal holds something that is not a record of this program');
  }
  return value as unknown as JournalRecord;
}
