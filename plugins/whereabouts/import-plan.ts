import { CniError } from '../../lib/cni/errors.ts';
import { formatIp, type Ip } from '../../lib/net/ip.ts';
import type { Plan } from './plan.ts';
import type { Change, Entry, Pools } from './pool.ts';

export interface ImportedAddress {
  readonly range: string;
  readonly ip: Ip;
  readonly entry: Entry;
}

/**
 * Takes over addresses that were given out before. Repeating it changes nothing.
 *
 * @param isAcross an address is taken when another range of the network holds it
 * @throws CniError internal when an address has two owners: all of the import or nothing
 */
export function planImport(
  addresses: readonly ImportedAddress[],
  pools: Pools,
  isAcross = true,
): Plan<{ readonly added: number; readonly present: number }> {
  const changes = new Map<string, Change>();
  for (const { range, ip, entry } of addresses) {
    const address = formatIp(ip);
    // Who keeps it from all ranges of a cluster's network is in none of them.
    const held = pools.holdersOf(ip).filter((one) => isAcross || [range, ''].includes(one.range));
    const holders = held.map((one) => one.entry);
    const place = isAcross ? address : `${address} ${range}`;
    const other = holders.find((holder) => !isSameOwner(holder, entry));
    if (changes.has(place) || other !== undefined) {
      throw new CniError(
        'internal',
        `cannot import ${address} of container ${entry.id}: ` +
          (other === undefined ? 'it is named twice' : `${ownerOf(other)} ${other.ifname} holds it`),
      );
    }
    if (holders.length === 0) {
      changes.set(place, { op: 'add', range, ip, entry });
    }
  }
  return {
    changes: [...changes.values()],
    answer: { added: changes.size, present: addresses.length - changes.size },
  };
}

const isSameOwner = (a: Entry, b: Entry): boolean => a.id === b.id && a.ifname === b.ifname;

/** Who keeps an address from all ranges of a cluster's network is known by the pod alone. */
const ownerOf = ({ id, podref }: Entry): string => (id === '' ? podref : `container ${id}`);
