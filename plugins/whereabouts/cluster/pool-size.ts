import { poolTooLarge } from './faults.ts';
import { MOST_BYTES, NEARLY } from './object-size.ts';
import type { Stored } from './pool-entries.ts';
import type { PoolState } from './pool-state.ts';
import type { StoredPool } from './stored-pool.ts';

/** What an operator should know of a pool before nothing can be reserved in it any more. */
export function sizeRemarks({ name, entries, bytes = 0 }: StoredPool): readonly string[] {
  const percent = Math.floor((bytes * 100) / MOST_BYTES);
  return bytes < MOST_BYTES * NEARLY
    ? []
    : [
        `the object of pool "${name}" has ${entries.count} addresses and ${percent} % of the size that etcd takes: ` +
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
  const { name, entries, bytes = 0 } = state.pool;
  const { added, removed } = state.changes();
  const more = sum(added.map(entryBytes)) - sum(removed.map(entryBytes));
  if (added.length > 0 && more > 0 && bytes > 0 && bytes <= MOST_BYTES && bytes + more > MOST_BYTES) {
    throw poolTooLarge(name, entries.count);
  }
}

/** With quotes, colon and comma. */
const entryBytes = ({ key, raw }: Stored): number => key.length + 4 + Buffer.byteLength(JSON.stringify(raw));

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
