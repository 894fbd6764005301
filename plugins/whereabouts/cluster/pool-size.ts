import { poolTooLarge } from './faults.ts';
import type { IpPool } from './objects.ts';
import type { PoolState } from './pool-state.ts';
import type { Stored, StoredPool } from './stored-pool.ts';

/** etcd takes requests of 1.5 MiB (`--max-request-bytes`); this much of one is not the object. */
const AROUND_BYTES = 2048;
export const MOST_BYTES = 1.5 * 1024 * 1024 - AROUND_BYTES;

const NEARLY = 0.8;
/** The longest names make 427 bytes of an entry: with fewer, no object comes near. */
const FEW_ENTRIES = 2000;

/**
 * How much room the object takes, nearly as etcd has it: what it is read as has the same members. An API server that is
 * told that an object is too large writes it again without the notes of who has set which field.
 *
 * @returns undefined when it has too few entries to be large, which saves writing it
 */
export const bytesOf = (object: IpPool, entries: number): number | undefined =>
  entries < FEW_ENTRIES || roughBytes(object) * NEARLY_SURE < MOST_BYTES * NEARLY
    ? undefined
    : Buffer.byteLength(JSON.stringify({ ...object, metadata: { ...object.metadata, managedFields: undefined } }));

/** Writing a large object takes milliseconds, and adding lengths up does not. */
const roughBytes = ({ spec: { allocations = {} } }: IpPool): number => {
  let bytes = 0;
  for (const key in allocations) {
    const { id = '', podref = '', ifname = '' } = allocations[key] ?? {};
    bytes += key.length + id.length + podref.length + ifname.length + AROUND_ENTRY;
  }
  return bytes;
};
/** Names of members, quotes, commas. */
const AROUND_ENTRY = 44;
const NEARLY_SURE = 1.25;

/** What an operator should know of a pool before nothing can be reserved in it any more. */
export function sizeRemarks({ name, stored, bytes = 0 }: StoredPool): readonly string[] {
  const percent = Math.floor((bytes * 100) / MOST_BYTES);
  return bytes < MOST_BYTES * NEARLY
    ? []
    : [
        `the object of pool "${name}" has ${stored.length} addresses and ${percent} % of the size that etcd takes: ` +
          'divide the range among several networks',
      ];
}

/**
 * Refuses what etcd would refuse, before anything is written for it. An object that is larger already shows that this
 * cluster's etcd takes more.
 *
 * @throws CniError of code 100
 */
export function refuseTooLarge(state: PoolState): void {
  const { name, stored, bytes = 0 } = state.pool;
  const { added, removed } = state.changes();
  const more = sum(added.map(entryBytes)) - sum(removed.map(entryBytes));
  if (added.length > 0 && more > 0 && bytes > 0 && bytes <= MOST_BYTES && bytes + more > MOST_BYTES) {
    throw poolTooLarge(name, stored.length);
  }
}

/** With quotes, colon and comma. */
const entryBytes = ({ key, raw }: Stored): number => key.length + 4 + Buffer.byteLength(JSON.stringify(raw));

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
