import { CniError } from '../../../lib/cni/errors.ts';
import { type Cidr, contains, formatCidr, masked, parseCidr } from '../../../lib/net/cidr.ts';
import { LARGEST_KEY, poolKey } from '../names.ts';
import type { Entry } from '../pool.ts';
import { bytesOf } from './object-size.ts';
import type { IpPool, RawEntry } from './objects.ts';
import { type Entries, entriesIn, type Stored } from './pool-entries.ts';

/** One pool as the server had it, or as what this node remembers of it. */
export interface StoredPool {
  /** of the object */
  readonly name: string;
  /** see poolKey */
  readonly range: string;
  readonly cidr: Cidr;
  /** `spec.range`, to the letter */
  readonly rangeText: string;
  /** what keys count from */
  readonly base: bigint;
  readonly version: string;
  /** false: nobody has reserved anything in it yet, and there is no object */
  readonly isThere: boolean;
  /** false: an object of an old version without `spec.allocations` */
  readonly hasAllocations: boolean;
  readonly entries: Entries;
  /** of the object; undefined for one that is far from large */
  readonly bytes: number | undefined;
}

/** A pool that nobody has used yet. */
export const emptyPool = (name: string, cidr: Cidr, node = ''): StoredPool => ({
  name,
  range: poolKey({ cidr, node }),
  cidr,
  rangeText: formatCidr(cidr),
  base: cidr.ip.value,
  version: '',
  isThere: false,
  hasAllocations: false,
  entries: NONE,
  bytes: undefined,
});

const NONE = entriesIn({}, '', { family: 4, value: 0n });

/** All that can be told of what the pool holds, by address. */
export const storedIn = ({ entries }: StoredPool): readonly Stored[] => entries.all();

/**
 * A pool as it is stored.
 *
 * @param cidr of the range that it must be
 * @param node whose slice it is
 * @throws CniError internal when it is the pool of another range: its keys would mean other addresses
 */
export function storedPool(object: IpPool, cidr: Cidr, node = ''): StoredPool {
  const { name, resourceVersion = '' } = object.metadata;
  const range = poolKey({ cidr, node });
  const text = object.spec.range;
  const own = cidrIn(object);
  if (own === undefined || formatCidr(masked(own)) !== formatCidr(cidr)) {
    throw new CniError('internal', `cannot use pool "${name}": its range is "${text}", not "${formatCidr(cidr)}"`);
  }
  const { allocations } = object.spec;
  const entries = entriesIn(allocations ?? {}, range, own.ip);
  return {
    ...{ name, range, cidr, rangeText: text, base: own.ip.value, version: resourceVersion },
    isThere: true,
    hasAllocations: allocations !== undefined,
    entries,
    bytes: bytesOf(object, entries.count),
  };
}

/** The range of a pool object; host bits, which keys count from, are kept. */
export const cidrIn = ({ spec }: IpPool): Cidr | undefined => parseCidr(spec.range);

/** Is the address one that keys of this pool can stand for, and every plugin can read them? */
export const isWritable = ({ base }: StoredPool, value: bigint): boolean =>
  value >= base && value - base <= LARGEST_KEY;

/** An old key may lead out of its range. Nobody is given such an address; who has it can give it back. */
export const isInside = ({ cidr }: StoredPool, { held }: Stored): boolean => contains(cidr, held.ip);

/** What is written of an entry: in objects there is no room for the name of the configuration. */
export const rawOf = ({ id, podref, ifname }: Entry): RawEntry => ({ id, podref, ifname });
