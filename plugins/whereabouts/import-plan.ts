import { CniError } from '../../lib/cni/errors.ts';
import { formatIp, type Ip } from '../../lib/net/ip.ts';
import { keyOf } from './names.ts';
import { overlapping, type Plan } from './plan.ts';
import { type Change, type Entry, holderOf, type Pools } from './pool.ts';

export interface ImportedAddress {
  readonly ip: Ip;
  readonly entry: Entry;
}

/**
 * Takes over addresses that another program has given out. Repeating it changes nothing.
 *
 * @throws CniError internal when an address has two owners: all of the import or nothing
 */
export function planImport(
  addresses: readonly ImportedAddress[],
  range: string,
  pools: Pools,
): Plan<{ readonly added: number; readonly present: number }> {
  const pool = pools.pool(range);
  const around = [pool, ...overlapping(pool, pools)];
  const changes = new Map<string, Change>();
  for (const { ip, entry } of addresses) {
    const key = keyOf(pool.network, ip.value);
    const holder = around.map((other) => holderOf(other, ip.value)).find((found) => found !== undefined);
    if (changes.has(key) || (holder !== undefined && !isSameOwner(holder, entry))) {
      throw new CniError(
        'internal',
        `cannot import ${formatIp(ip)} of container ${entry.id}: ` +
          (holder === undefined ? 'there are two files for it' : `container ${holder.id} ${holder.ifname} holds it`),
      );
    }
    if (holder === undefined) {
      changes.set(key, { range, op: 'add', k: key, v: entry });
    }
  }
  return {
    changes: [...changes.values()],
    answer: { added: changes.size, present: addresses.length - changes.size },
  };
}

const isSameOwner = (a: Entry, b: Entry): boolean => a.id === b.id && a.ifname === b.ifname;
