import { masked } from '../../../lib/net/cidr.ts';
import type { IpPool } from '../cluster/objects.ts';
import { cidrIn, type StoredPool, storedIn, storedPool } from '../cluster/stored-pool.ts';
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
export interface Holders {
  /** nobody: undefined */
  get(name: string): ReadonlySet<string> | undefined;
}

/** The holders of all addresses of all pools: nearly always one, of whom the text that is there already is kept. */
export function holdersIn(pools: readonly StoredPool[]): Holders {
  const holders = new Map<string, string | Set<string>>();
  for (const pool of pools) {
    const networks = possibleNetworks(pool);
    for (const { held } of storedIn(pool)) {
      for (const network of networks) {
        const name = reservationName(network, held.ip);
        const known = holders.get(name);
        const { podref } = held.entry;
        if (known instanceof Set) {
          known.add(podref);
        } else if (known !== podref) {
          holders.set(name, known === undefined ? podref : new Set([known, podref]));
        }
      }
    }
  }
  return {
    get: (name) => {
      const known = holders.get(name);
      return typeof known === 'string' ? new Set([known]) : known;
    },
  };
}
