import { CniError } from '../../lib/cni/errors.ts';
import { isObject } from '../../lib/cni/json.ts';
import { crc32c } from '../../lib/sys/crc32c.ts';
import type { Entry } from './pool.ts';
import type { KeyedPool } from './state.ts';

/**
 * A snapshot is lines of JSON: the checksum of the second line; sequence number, and range, length and checksum of each
 * pool; then the pools, one a line. So a call checks and parses the pools it needs and passes over the others.
 */
const FORMAT = 1;
const NEWLINE = 10;

export interface Snapshot {
  /** number of the last journal record that it contains */
  readonly seq: number;
  /** in bytes */
  readonly size: number;
  readonly pools: ReadonlyMap<string, StoredPool>;
}

export interface StoredPool {
  readonly bytes: Buffer;
  readonly crc32c: string;
}

interface Header {
  readonly format: number;
  readonly seq: number;
  readonly pools: readonly { readonly range: string; readonly bytes: number; readonly crc32c: string }[];
}

export const EMPTY_SNAPSHOT: Snapshot = { seq: 0, size: 0, pools: new Map() };

/** The stored state is incomplete or not what was written; another copy may be better. */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged';
}

/**
 * Reads the header; the pools stay unread.
 *
 * @throws StoreDamaged; CniError ioFailure when a newer program wrote it
 */
export function readSnapshot(bytes: Buffer): Snapshot {
  const [checkLine, headerStart] = lineAt(bytes, 0);
  const [headerLine, poolsStart] = lineAt(bytes, headerStart);
  const check = parseObject(checkLine) as { readonly crc32c?: string };
  if (check.crc32c !== checksumOf(headerLine)) {
    throw new StoreDamaged('its header does not match its checksum');
  }
  const header = parseObject(headerLine) as unknown as Header;
  if (header.format !== FORMAT) {
    throw new CniError('ioFailure', `cannot read the snapshot: format ${header.format} is not format ${FORMAT}`);
  }
  let start = poolsStart;
  const pools = header.pools.map(({ range, bytes: length, crc32c: sum }) => {
    const place = bytes.subarray(start, start + length);
    start += length + 1;
    return [range, { bytes: place, crc32c: sum }] as const;
  });
  return { seq: header.seq, size: bytes.length, pools: new Map(pools) };
}

/** @throws StoreDamaged */
export function readPool(stored: StoredPool, range: string): ReadonlyMap<string, Entry> {
  const line = parseObject(checked(stored, range)) as {
    readonly range?: string;
    readonly allocations?: Record<string, Entry>;
  };
  if (line.range !== range || !isObject(line.allocations)) {
    throw new StoreDamaged(`its line of range ${range} is another`);
  }
  return new Map(Object.entries(line.allocations));
}

/**
 * The text of a snapshot. Pools without reservations are left out; those that nobody read are copied as they are.
 *
 * @throws StoreDamaged when one of those does not match its checksum
 */
export function formatSnapshot(
  seq: number,
  pools: readonly (KeyedPool | (StoredPool & { readonly range: string }))[],
): Buffer {
  const lines = pools
    .filter((pool) => !('entries' in pool) || pool.entries.size > 0)
    .map((pool) => ({ range: pool.range, line: 'entries' in pool ? formatPool(pool) : checked(pool, pool.range) }));
  const header = Buffer.from(
    JSON.stringify({
      format: FORMAT,
      seq,
      pools: lines.map(({ range, line }) => ({ range, bytes: line.length, crc32c: checksumOf(line) })),
    } satisfies Header),
  );
  const check = Buffer.from(JSON.stringify({ crc32c: checksumOf(header) }));
  return Buffer.concat([check, header, ...lines.map(({ line }) => line)].flatMap((line) => [line, Buffer.of(NEWLINE)]));
}

const formatPool = ({ range, entries }: KeyedPool): Buffer =>
  Buffer.from(JSON.stringify({ range, allocations: Object.fromEntries(entries) }));

function checked({ bytes, crc32c: sum }: StoredPool, range: string): Buffer {
  if (checksumOf(bytes) !== sum) {
    throw new StoreDamaged(`its line of range ${range} does not match its checksum`);
  }
  return bytes;
}

const checksumOf = (bytes: Uint8Array): string => crc32c(bytes).toString(16).padStart(8, '0');

function lineAt(bytes: Buffer, start: number): readonly [Buffer, number] {
  const end = bytes.indexOf(NEWLINE, start);
  if (end < 0) {
    throw new StoreDamaged('it ends before its header does');
  }
  return [bytes.subarray(start, end), end + 1];
}

/** @throws StoreDamaged */
export function parseObject(line: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    if (isObject(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // told below
  }
  throw new StoreDamaged('it holds something that is not a JSON object');
}
