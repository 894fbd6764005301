import { readdirSync } from 'node:fs';
import { parseIp } from '../../lib/net/ip.ts';
import { includes } from '../../lib/net/range.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import { isAddressName } from './owners.ts';
import { formatSet, type RangeSet, rangeFor } from './ranges.ts';

export interface Fullness {
  /** as messages name the set */
  readonly set: string;
  readonly free: bigint;
  readonly all: bigint;
}

/**
 * How many addresses each set has left, by the names of files alone.
 *
 * @throws CniError ioFailure
 */
export function fullnessOf(folder: string, sets: readonly RangeSet[]): readonly Fullness[] {
  const taken = namesIn(folder).flatMap((name) => (isAddressName(name) ? (parseIp(name) ?? []) : []));
  return sets.map((set) => {
    const all = set.reduce((sum, range) => sum + sizeOf(range), 0n);
    const used = taken.filter((ip) => rangeFor(set, ip) !== undefined).length;
    return { set: formatSet(set), all, free: all - BigInt(used) };
  });
}

/** Without the gateway, which is never given. */
function sizeOf({ window, gateway }: RangeSet[number]): bigint {
  const isWithin = gateway !== undefined && includes(window, gateway);
  return window.last - window.first + (isWithin ? 0n : 1n);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw ioError('read folder', folder, error);
  }
}
