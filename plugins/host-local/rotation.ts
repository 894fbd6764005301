import type { Ip } from '../../lib/net/ip.ts';
import { includes } from '../../lib/net/range.ts';
import type { AddressRange, RangeSet } from './ranges.ts';

export interface Candidate {
  readonly ip: Ip;
  readonly range: AddressRange;
}

/**
 * The addresses of a set in the order in which they are tried, each once: from the one after the last that was given, so
 * that an address rests as long as it can. In the Go plugin's order, which two of its habits make odd: the address that was
 * given last is tried too, as the last one, and without one the gateway may be where the search began.
 *
 * @param last undefined, or not of the set: from the first address on
 */
export function* candidatesOf(set: RangeSet, last: Ip | undefined): Generator<Candidate> {
  const from = last === undefined ? -1 : set.findIndex(({ window }) => includes(window, last));
  let at = Math.max(from, 0);
  let value = from < 0 ? undefined : last?.value;
  let start: bigint | undefined;
  for (;;) {
    const { window } = rangeAt(set, at);
    if (value === undefined) {
      value = window.first;
    } else if (value === window.last) {
      at = (at + 1) % set.length;
      value = rangeAt(set, at).window.first;
    } else {
      value++;
    }
    if (value === start) {
      return;
    }
    start ??= value;
    const range = rangeAt(set, at);
    const ip = { family: range.window.family, value };
    if (range.gateway?.family !== ip.family || range.gateway.value !== value) {
      yield { ip, range };
    }
  }
}

function rangeAt(set: RangeSet, index: number): AddressRange {
  const range = set[index];
  if (range === undefined) {
    throw new RangeError('a set has at least one range');
  }
  return range;
}
