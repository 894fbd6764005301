import { randomBytes } from '../sys/random.ts';

/**
 * Reads a hardware address as Go's `net.ParseMAC` does: pairs with `:` or `-`, quads with `.`, or digits alone, as Go
 * 1.26 takes them; 6, 8 or 20 bytes.
 *
 * @returns undefined when the text is not a hardware address
 */
export function parseMac(text: string): Buffer | undefined {
  const pairs = /^[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1)*[0-9a-fA-F]{2}$/;
  const quads = /^[0-9a-fA-F]{4}(?:\.[0-9a-fA-F]{4})+$/;
  const digits = /^(?:[0-9a-fA-F]{2})+$/;
  if (![pairs, quads, digits].some((form) => form.test(text))) {
    return undefined;
  }
  const bytes = Buffer.from(text.replace(/[:.-]/g, ''), 'hex');
  return [6, 8, 20].includes(bytes.length) ? bytes : undefined;
}

/** Lower case, colon separated. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Group addresses cannot be the address of a link (IEEE 802: lowest bit of the first byte). */
export const isMulticastMac = (bytes: Uint8Array): boolean => ((bytes[0] ?? 0) & 1) === 1;

/** A random locally administered unicast address. */
export function randomMac(): Buffer {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return bytes;
}
