import { type Cidr, lastAddress, networkOf } from './cidr.ts';
import type { Family, Ip } from './ip.ts';

/** Consecutive addresses of one family, both ends included. */
export interface Range {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** All addresses of the prefix. */
export const rangeOf = (cidr: Cidr): Range => ({
  family: cidr.ip.family,
  first: networkOf(cidr).value,
  last: lastAddress(cidr).value,
});

export const includes = (range: Range, ip: Ip): boolean =>
  ip.family === range.family && range.first <= ip.value && ip.value <= range.last;

/**
 * The addresses of the prefix without the first (network, or subnet-router anycast) and the last (broadcast).
 *
 * @returns undefined when nothing is left: fewer than two host bits
 */
export function usableOf(cidr: Cidr): Range | undefined {
  const { family, first, last } = rangeOf(cidr);
  return last - first < 2n ? undefined : { family, first: first + 1n, last: last - 1n };
}

/** The part between two bounds; a bound outside the remaining range is ignored. */
export function narrow(range: Range, start: Ip | undefined, end: Ip | undefined): Range {
  const first = start !== undefined && includes(range, start) ? start.value : range.first;
  const rest = { ...range, first };
  return end !== undefined && includes(rest, end) ? { ...rest, last: end.value } : rest;
}

/**
 * The lowest address that is neither excluded nor taken. Skips an exclusion of any size in one step.
 *
 * @returns undefined when there is none
 */
export function lowestFree(
  range: Range,
  excluded: readonly Range[],
  isTaken: (value: bigint) => boolean,
): bigint | undefined {
  for (let value = range.first; value <= range.last; value++) {
    const found = excluded.length > 0 ? rangeWith(excluded, { family: range.family, value }) : undefined;
    if (found !== undefined) {
      value = found.last;
    } else if (!isTaken(value)) {
      return value;
    }
  }
  return undefined;
}

/** The part of a range from an address on; all of it when the address lies before. */
export const rangeFrom = (range: Range, first: bigint): Range => (first > range.first ? { ...range, first } : range);

const rangeWith = (ranges: readonly Range[], ip: Ip): Range | undefined => ranges.find((range) => includes(range, ip));
