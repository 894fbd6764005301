import { type Cidr, contains, formatCidr, masked, networkOf, parseCidr } from '../../lib/net/cidr.ts';
import { formatIp, type Ip } from '../../lib/net/ip.ts';

/**
 * The name of a range's pool, as Kubernetes objects bear it: `blue-2001-db8---116`; that of a slice has the name of its
 * node too: `blue-w-7-10.40.3.0-26`.
 */
export function poolName(networkName: string, cidr: Cidr, node = ''): string {
  return named(networkName, named(node, formatCidr(cidr).replaceAll(':', '-').replace('/', '-')));
}

/** What tells the pools of one network apart: the range, or the slice of one that a node has, `10.40.3.0/26@w-7`. */
export const poolKey = ({ cidr, node = '' }: PoolId): string =>
  node === '' ? formatCidr(cidr) : `${formatCidr(cidr)}@${node}`;

export interface PoolId {
  readonly cidr: Cidr;
  /** whose slice it is; absent: a whole range, for all nodes */
  readonly node?: string;
}

/** @returns undefined when the text is no key of a pool */
export function parsePoolKey(text: string): Required<PoolId> | undefined {
  const at = text.indexOf('@');
  const cidr = parseCidr(at < 0 ? text : text.slice(0, at));
  const id = cidr && { cidr: masked(cidr), node: at < 0 ? '' : text.slice(at + 1) };
  return id !== undefined && poolKey(id) === text ? id : undefined;
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

/**
 * The node whose slice a pool of the network is, by the pool's name.
 *
 * @returns undefined when it is not one of a slice of this network
 */
export function sliceNodeOf(name: string, networkName: string, cidr: Cidr): string | undefined {
  const prefix = networkNameOf(name, cidr) ?? '';
  const own = networkName === '' ? '' : `${networkName}-`;
  return prefix.startsWith(own) && prefix.length > own.length ? prefix.slice(own.length) : undefined;
}

/**
 * The name of the NodeSlicePool that says which slice of a range each node has. That of the first range is the Go
 * plugin's: `network_name`, else `name` of the configuration. It knows no other; theirs have the range in it too.
 */
export function slicePoolName(base: string, cidr: Cidr, first: Cidr): string {
  return formatCidr(cidr) === formatCidr(first) ? base : poolName(base, cidr);
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

/** The range of a pool, by its key. */
export function storedRange(key: string): Cidr {
  const id = parsePoolKey(key);
  if (id === undefined) {
    throw new TypeError(`"${key}" is not a range`);
  }
  return id.cidr;
}
