import { Address6 } from 'ip-address';

/** An address as a number: cheap to compare, to add to and to use as a key. */
export interface Ip {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export type Family = Ip['family'];

const MAPPED_PREFIX = 0xffffn << 32n;

export const bitsOf = (family: Family): 32 | 128 => (family === 4 ? 32 : 128);

/**
 * Parses an address like Go's `net.ParseIP`: no zone, no leading zeros in IPv4 octets; an IPv4-mapped IPv6 address is
 * the IPv4 address.
 *
 * @returns undefined when the text is not an address
 */
export function parseIp(text: string): Ip | undefined {
  if (text.includes('/') || text.includes('%') || !/^[0-9a-fA-F:.]+$/.test(text)) {
    return undefined;
  }
  if (!text.includes(':')) {
    return parseFour(text);
  }
  try {
    return fromSix(new Address6(text).bigInt());
  } catch {
    return undefined;
  }
}

/** Four numbers of a byte, without leading zeros. */
function parseFour(text: string): Ip | undefined {
  const parts = text.split('.');
  const isAddress = parts.length === 4 && parts.every((part) => BYTE.test(part));
  return isAddress ? { family: 4, value: BigInt(parts.reduce((sum, part) => sum * 256 + Number(part), 0)) } : undefined;
}

const BYTE = /^(?:0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])$/;

/** Like {@link parseIp}, but leading zeros are decimal: `010.001.0.3` is 10.1.0.3. */
export function parseIpLenient(text: string): Ip | undefined {
  return parseIp(
    text
      .split(':')
      .map((part) => part.replace(/\b0+(?=[0-9a-fA-F])/g, ''))
      .join(':'),
  );
}

/** The canonical text, as Go prints it: RFC 5952, lower case, IPv4-mapped as dotted quad. */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const v = Number(ip.value);
    return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`;
  }
  return Address6.fromBigInt(ip.value).correctForm();
}

/** Network byte order: 4 or 16 bytes. */
export function ipToBytes(ip: Ip): Buffer {
  if (ip.family === 4) {
    const v = Number(ip.value);
    return Buffer.of(v >>> 24, v >>> 16, v >>> 8, v);
  }
  const size = bitsOf(ip.family) / 8;
  return Buffer.from(ip.value.toString(16).padStart(size * 2, '0'), 'hex');
}

/** @throws RangeError unless there are 4 or 16 bytes */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  }
  const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

export const sameIp = (a: Ip, b: Ip): boolean => a.family === b.family && a.value === b.value;

function fromSix(value: bigint): Ip {
  return value >> 32n === MAPPED_PREFIX >> 32n ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value };
}
