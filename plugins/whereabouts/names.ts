import { type Cidr, contains, formatCidr, networkOf, parseCidr } from '../../lib/net/cidr.ts';
import { formatIp, type Ip } from '../../lib/net/ip.ts';

/** The name of a range's pool, as Kubernetes objects bear it: `blue-2001-db8---116`. */
export function poolName(networkName: string, cidr: Cidr): string {
  return named(networkName, formatCidr(cidr).replaceAll(':', '-').replace('/', '-'));
}

/**
 * The network of a pool that bears this name.
 *
 * @returns undefined when it is not the pool of the range
 */
export function networkNameOf(name: string, cidr: Cidr): string | undefined {
  const plain = poolName('', cidr);
  return name === plain ? '' : name.endsWith(`-${plain}`) ? name.slice(0, -plain.length - 1) : undefined;
}

/** The name of the object that protects an address across the ranges of a network: `blue-fd00-0-0-10--5`. */
export function reservationName(networkName: string, ip: Ip): string {
  const text = formatIp(ip);
  // An object's name ends in a letter or a digit.
  return named(networkName, (text.endsWith(':') ? `${text}0` : text).replaceAll(':', '-'));
}

const named = (networkName: string, name: string): string => (networkName === '' ? name : `${networkName}-${name}`);

/** The largest key that the Go plugin reads: it would take what is beyond for free, and drop it with its next write. */
export const LARGEST_KEY = 2n ** 63n - 1n;

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
