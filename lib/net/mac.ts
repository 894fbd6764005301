import { randomBytes } from '../sys/random.ts';

const ETHERNET_BYTES = 6;

declare const isMac: unique symbol;

/** A hardware address as the kernel's tools print it. Only parsed addresses have this type. */
export type Mac = string & { readonly [isMac]: true };

/**
 * Parses a hardware address like Go's `net.ParseMAC`: pairs with `:` or `-`, quads with `.`, or digits alone, as Go
 * 1.26 accepts; 6, 8 or 20 bytes.
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
export function formatMac(bytes: Uint8Array): Mac {
  let text = '';
  for (const byte of bytes) {
    text += `${text === '' ? '' : ':'}${HEX[byte]}`;
  }
  return text as Mac;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Normalises a text to the form of {@link formatMac}; undefined when {@link parseMac} rejects it. */
export function macOf(text: string): Mac | undefined {
  const bytes = parseMac(text);
  return bytes === undefined ? undefined : formatMac(bytes);
}

/** The bytes of an address, as in the kernel. */
export const macBytes = (mac: Mac): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

/**
 * What is wrong with a hardware address for an Ethernet link.
 *
 * @returns a phrase for an error message, or undefined when it is valid
 */
export function ethernetMacFault(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || bytes.length !== ETHERNET_BYTES) {
    return 'is not an Ethernet address';
  }
  if (isMulticastMac(bytes)) {
    return 'is a multicast address';
  }
  return bytes.every((byte) => byte === 0) ? 'is all zero' : undefined;
}

/** Group addresses cannot be the address of a link (IEEE 802: lowest bit of the first byte). */
export const isMulticastMac = (bytes: Uint8Array): boolean => ((bytes[0] ?? 0) & 1) === 1;

/** A random locally administered unicast address. */
export function randomMac(): Buffer {
  const bytes = randomBytes(ETHERNET_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return bytes;
}
