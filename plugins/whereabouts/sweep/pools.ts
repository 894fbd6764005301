import { masked } from '../../../lib/net/cidr.ts';
import type { IpPool } from '../cluster/objects.ts';
import { cidrIn, type StoredPool, storedPool } from '../cluster/stored-pool.ts';
import { networkNameOf, reservationName } from '../names.ts';

/**
 * A pool as the server has it, whichever configuration it belongs to.
 *
 * @returns undefined when its range is none
 */
export function sweptPool(object: IpPool): StoredPool | undefined {
  const cidr = cidrIn(object);
  return cidr === undefined ? undefined : storedPool(object, masked(cidr));
}

/**
 * The networks that a pool may belong to, from its name: `blue-w-7-10.40.3.0-26` is of network `blue` and node `w-7`, or
 * of `blue-w` and `7`, or of `blue-w-7`, or of none. Only configurations know; the sweep wants no more than what is possible.
 */
export function possibleNetworks({ name, cidr }: Pick<StoredPool, 'name' | 'cidr'>): readonly string[] {
  const prefix = networkNameOf(name, cidr) ?? '';
  const words = prefix === '' ? [] : prefix.split('-');
  return ['', ...words.map((_, at) => words.slice(0, at + 1).join('-'))];
}

/** Who holds what, by the name that a reservation across ranges would have: several networks may have one in common. */
export type Holders = ReadonlyMap<string, ReadonlySet<string>>;

/** The holders of all addresses of all pools. */
export function holdersIn(pools: readonly StoredPool[]): Holders {
  const holders = new Map<string, Set<string>>();
  for (const pool of pools) {
    const networks = possibleNetworks(pool);
    for (const { held } of pool.stored) {
      for (const name of networks.map((network) => reservationName(network, held.ip))) {
        const known = holders.get(name) ?? new Set();
        holders.set(name, known.add(held.entry.podref));
      }
    }
  }
  return holders;
}
