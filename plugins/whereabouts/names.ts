import { type Cidr, contains, formatCidr, networkOf, parseCidr } from '../../lib/net/cidr.ts';
import type { Ip } from '../../lib/net/ip.ts';

/** The name of a range's pool, as Kubernetes objects bear it: `blue-2001-db8---116`. */
export function poolName(networkName: string, cidr: Cidr): string {
  const name = formatCidr(cidr).replaceAll(':', '-').replace('/', '-');
  return networkName === '' ? name : `${networkName}-${name}`;
}

/** The key of an address in its pool: how far it is from the network address, in decimal. */
export const keyOf = (network: bigint, value: bigint): string => String(value - network);

/**
 * The address behind a key.
 *
 * @returns undefined when the key is not canonical (`05`, `-1`) or leads out of the range
 */
export function addressOf(cidr: Cidr, key: string): Ip | undefined {
  if (!/^(0|[1-9][0-9]*)$/.test(key)) {
    return undefined;
  }
  const ip = { family: cidr.ip.family, value: networkOf(cidr).value + BigInt(key) };
  return contains(cidr, ip) ? ip : undefined;
}

/** The range of a stored pool, which is written in canonical form. */
export function storedRange(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    throw new TypeError(`"${text}" is not a range`);
  }
  return cidr;
}
