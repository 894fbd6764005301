import { bitsOf, type Family, formatIp, type Ip } from '../../../lib/net/ip.ts';
import { crc32cOfText } from '../../../lib/sys/crc32c.ts';
import type { SqlRow } from '../../../lib/sys/database.ts';
import type { Held } from '../pool.ts';

/** An address as a text that sorts as addresses do: `4:0a050001`. */
export const keyOf = ({ family, value }: Ip): string =>
  `${family}:${value.toString(16).padStart(bitsOf(family) / 4, '0')}`;

/** @returns undefined when it is no key */
export function ipOfKey(key: string): Ip | undefined {
  const family: Family = key.startsWith('4:') ? 4 : 6;
  const isKey = /^(4:[0-9a-f]{8}|6:[0-9a-f]{32})$/.test(key);
  return isKey ? { family, value: BigInt(`0x${key.slice(2)}`) } : undefined;
}

export function checksumOf(...columns: readonly (string | number)[]): number {
  let text = '';
  for (const column of columns) {
    text += `${column}\0`;
  }
  return crc32cOfText(text);
}

/** The columns of a reservation, without the checksum. */
export function columnsOf(network: string, { range, ip, entry }: Held): readonly string[] {
  return [network, range, keyOf(ip), formatIp(ip), entry.id, entry.ifname, entry.podref, entry.network ?? ''];
}

/** @returns undefined when the row is not what was written */
export function heldOf(row: SqlRow): Held | undefined {
  const { network, range, key, address, container, interface: ifname, pod, conf, checksum } = row;
  const columns = [network, range, key, address, container, ifname, pod, conf].map(String);
  const ip = ipOfKey(String(key));
  if (ip === undefined || checksumOf(...columns) !== checksum) {
    return undefined;
  }
  const entry = { id: String(container), podref: String(pod), ifname: String(ifname), network: String(conf) };
  return { range: String(range), ip, entry };
}
