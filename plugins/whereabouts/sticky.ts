import type { Range } from '../../lib/net/range.ts';
import { crc32cOfText } from '../../lib/sys/crc32c.ts';
import type { Owner } from './plan.ts';

/** No search begins farther from the first address: addresses and the keys of pools stay short in IPv6 too. */
const SPREAD = 65_536n;

/**
 * The address that a pod's interface prefers, found from its name alone: the same on every node, after every restart, with
 * nothing to be remembered. It may be taken or excluded; the search goes on upward from it.
 *
 * @returns undefined when nobody knows which pod it is
 */
export function preferredIn({ first, last }: Range, { podref, ifname }: Owner): bigint | undefined {
  const size = last - first + 1n;
  const hash = BigInt(crc32cOfText(`${podref} ${ifname}`));
  return podref === '' ? undefined : first + (hash % (size < SPREAD ? size : SPREAD));
}
