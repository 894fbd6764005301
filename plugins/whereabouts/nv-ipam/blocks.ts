import { type Cidr, formatCidr, lastAddress, networkOf } from '../../../lib/net/cidr.ts';
import { bitsOf, type Family, formatIp, parseIp } from '../../../lib/net/ip.ts';
import type { Span } from '../spans.ts';

/** Addresses from one to another as the fewest prefixes; one address as itself. */
export function prefixesOf(family: Family, { first, last }: Span): readonly string[] {
  const found: string[] = [];
  const bits = bitsOf(family);
  for (let value = first; value <= last; ) {
    let prefix = bits;
    while (prefix > 0) {
      const wider: Cidr = { ip: { family, value }, prefix: prefix - 1 };
      if (networkOf(wider).value !== value || lastAddress(wider).value > last) {
        break;
      }
      prefix--;
    }
    const cidr: Cidr = { ip: { family, value }, prefix };
    found.push(prefix === bits ? formatIp(cidr.ip) : formatCidr(cidr));
    value = lastAddress(cidr).value + 1n;
  }
  return found;
}

/** @returns undefined when they are no addresses, or of two families */
export function spanOf(start: string, end: string): (Span & { readonly family: Family }) | undefined {
  const [first, last] = [parseIp(start), parseIp(end)];
  return first === undefined || last === undefined || first.family !== last.family
    ? undefined
    : { family: first.family, first: first.value, last: last.value };
}

/** The part of a span that is within another. */
export const within = ({ first, last }: Span, of: Span): readonly Span[] => {
  const part = { first: first > of.first ? first : of.first, last: last < of.last ? last : of.last };
  return part.first <= part.last ? [part] : [];
};

/** The longest prefix whose part of a range gives that many addresses: the first and the last are never given. */
export function sliceFor(family: Family, addresses: number): number {
  const bits = bitsOf(family);
  let prefix = bits - 2;
  while (prefix > 0 && 2n ** BigInt(bits - prefix) - 2n < BigInt(addresses)) {
    prefix--;
  }
  return prefix;
}
