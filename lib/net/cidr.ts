import { bitsOf, formatIp, type Ip, parseIp, parseIpLenient } from './ip.ts';

/** An address with its prefix length; host bits are kept. */
export interface Cidr {
  readonly ip: Ip;
  readonly prefix: number;
}

/**
 * Reads `address/length` as Go's `net.ParseCIDR` does, keeping the host bits: an IPv4-mapped IPv6 address is the IPv4
 * address, and its prefix length that of the IPv4 part.
 *
 * @returns undefined when the text is not a CIDR
 */
export const parseCidr = (text: string): Cidr | undefined => parseWith(text, parseIp);

/** Like {@link parseCidr}, with leading zeros allowed in the address. */
export const parseCidrLenient = (text: string): Cidr | undefined => parseWith(text, parseIpLenient);

export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr.ip)}/${cidr.prefix}`;

/** Number of addresses in the prefix. */
export const sizeOf = (cidr: Cidr): bigint => 1n << BigInt(bitsOf(cidr.ip.family) - cidr.prefix);

/** The network address: host bits cleared. */
export function networkOf(cidr: Cidr): Ip {
  return { family: cidr.ip.family, value: cidr.ip.value & ~(sizeOf(cidr) - 1n) };
}

/** The last address of the prefix: host bits set (the broadcast address in IPv4). */
export function lastAddress(cidr: Cidr): Ip {
  return { family: cidr.ip.family, value: cidr.ip.value | (sizeOf(cidr) - 1n) };
}

export const masked = (cidr: Cidr): Cidr => ({ ip: networkOf(cidr), prefix: cidr.prefix });

export function contains({ ip: network, prefix }: Cidr, ip: Ip): boolean {
  const hostBits = BigInt(bitsOf(network.family) - prefix);
  return ip.family === network.family && ip.value >> hostBits === network.value >> hostBits;
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.ip.family === b.ip.family && (contains(a, networkOf(b)) || contains(b, networkOf(a)));
}

/** 0.0.0.0/0 or ::/0. */
export const isDefault = (cidr: Cidr): boolean => cidr.prefix === 0;

/** ::ffff:0:0/96 */
const MAPPED_BITS = 96;

function parseWith(text: string, parse: (text: string) => Ip | undefined): Cidr | undefined {
  const slash = text.lastIndexOf('/');
  const length = text.slice(slash + 1);
  if (slash < 0 || !/^0*[0-9]{1,3}$/.test(length)) {
    return undefined;
  }
  const ip = parse(text.slice(0, slash));
  const isMapped = ip?.family === 4 && text.includes(':');
  const prefix = Number(length) - (isMapped ? MAPPED_BITS : 0);
  return ip !== undefined && prefix >= 0 && prefix <= bitsOf(ip.family) ? { ip, prefix } : undefined;
}
