import { CniError } from '../../lib/cni/errors.ts';
import { formatCidr, overlaps } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, sameIp } from '../../lib/net/ip.ts';
import { includes, lowestFree } from '../../lib/net/range.ts';
import { keyOf, storedRange } from './names.ts';
import {
  type AttachmentId,
  type Change,
  type Entry,
  type Held,
  heldIn,
  holderOf,
  isLegacyOf,
  isOf,
  type Pool,
  type Pools,
} from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';

/** Who asks: the attachment, and the pod it belongs to when the caller named one. */
export interface Owner extends AttachmentId {
  /** `namespace/name`, or '' */
  readonly podref: string;
  /** `name` of the configuration */
  readonly network: string;
}

export interface Reservation {
  readonly owner: Owner;
  readonly ranges: readonly ConfiguredRange[];
  /** whether an address held in another range of the network is taken */
  readonly protectOverlaps: boolean;
}

export interface Plan<T> {
  readonly changes: readonly Change[];
  readonly answer: T;
}

/**
 * Several reservations as one change, each made as if those before it were recorded already.
 *
 * @returns for each its addresses, or the CniError of `planReservation`
 */
export function planReservations(
  requests: readonly Reservation[],
  pools: Pools,
): Plan<readonly PromiseSettledResult<readonly Ip[]>[]> {
  const changes: Change[] = [];
  const answer = requests.map((request): PromiseSettledResult<readonly Ip[]> => {
    try {
      const plan = planReservation(request, pools);
      pools.apply(plan.changes);
      changes.push(...plan.changes);
      return { status: 'fulfilled', value: plan.answer };
    } catch (reason) {
      if (!(reason instanceof CniError)) {
        throw reason; // of the store, not of the request
      }
      return { status: 'rejected', reason };
    }
  });
  return { changes, answer };
}

/**
 * One address of every range, all or none. What the owner holds already is given again, with its container id brought
 * up to date; else the lowest free address of the range's window is.
 *
 * @throws CniError internal when a range has no address left
 */
export function planReservation(request: Reservation, pools: Pools): Plan<readonly Ip[]> {
  const changes: Change[] = [];
  const given: Ip[] = [];
  for (const range of request.ranges) {
    const pool = pools.pool(formatCidr(range.cidr));
    const neighbours = request.protectOverlaps ? overlapping(pool, pools) : [];
    const held = reusable(request.owner, pool, range, given);
    const stays = held.find((entry) => !isContested(entry, neighbours, request.owner));
    if (stays !== undefined) {
      changes.push(...refreshed(stays, request.owner));
      given.push(stays.ip);
      continue;
    }
    const ip = lowestFreeIn(range, [pool, ...neighbours], given);
    changes.push(...held.map(removal), addition(pool, ip, request.owner));
    given.push(ip);
  }
  return { changes, answer: given };
}

/**
 * Everything that each attachment holds, in whatever pool of the network: ranges may have been reconfigured since. Container
 * id and interface name stand for one attachment, so nobody else's address can be meant. Entries without an interface
 * name, which only old versions wrote, go when nothing else of the container matches.
 */
export function planRelease(attachments: readonly AttachmentId[], pools: Pools): Plan<readonly (readonly Held[])[]> {
  const answer = attachments.map((attachment) => heldBy(attachment, pools));
  const changes = new Map(answer.flat().map((held) => [`${held.range} ${held.key}`, removal(held)]));
  return { changes: [...changes.values()], answer };
}

function heldBy(attachment: AttachmentId, pools: Pools): readonly Held[] {
  const candidates = pools.mentioning(attachment.id);
  const own = candidates.flatMap((pool) => heldIn(pool, isOf(attachment)));
  return own.length > 0 ? own : candidates.flatMap((pool) => heldIn(pool, isLegacyOf(attachment)));
}

/** The address the attachment holds in each of the ranges; undefined where it holds none. */
export function findHeld(
  attachment: AttachmentId,
  ranges: readonly ConfiguredRange[],
  pools: Pools,
): readonly (Ip | undefined)[] {
  const found: Ip[] = [];
  return ranges.map((range) => {
    const pool = pools.pool(formatCidr(range.cidr));
    const held = [...heldIn(pool, isOf(attachment)), ...heldIn(pool, isLegacyOf(attachment))];
    const next = inWindowFirst(held, range).find(({ ip }) => !found.some((other) => sameIp(other, ip)));
    if (next !== undefined) {
      found.push(next.ip);
    }
    return next?.ip;
  });
}

/** What the network's attachments hold in the ranges and no longer should. Other networks' entries are left alone. */
export function planCollection(
  network: string,
  ranges: readonly ConfiguredRange[],
  valid: readonly AttachmentId[],
  pools: Pools,
): Plan<readonly Held[]> {
  const [attachments, containers] = [
    new Set(valid.map(({ id, ifname }) => `${id} ${ifname}`)),
    new Set(valid.map(({ id }) => id)),
  ];
  const isStale = (entry: Entry) =>
    entry.network === network &&
    !(entry.ifname === '' ? containers.has(entry.id) : attachments.has(`${entry.id} ${entry.ifname}`));
  const names = new Set(ranges.map(({ cidr }) => formatCidr(cidr)));
  const held = [...names].flatMap((range) => heldIn(pools.pool(range), isStale));
  return { changes: held.map(removal), answer: held };
}

/** The other pools that share addresses with this one. */
export function overlapping(pool: Pool, pools: Pools): readonly Pool[] {
  return pools.ranges
    .filter((range) => range !== pool.range && overlaps(storedRange(range), pool.cidr))
    .map((range) => pools.pool(range));
}

/**
 * The owner's entries in the pool that this call has not given yet; those the configuration would still give come
 * first, since a pool that is configured twice has one for each of its windows.
 */
function reusable(owner: Owner, pool: Pool, range: ConfiguredRange, given: readonly Ip[]): readonly Held[] {
  const isOwn = isOf(owner);
  const held = heldIn(pool, (entry) => isOwn(entry) || isOfPod(entry, owner));
  const free = held.filter(({ ip }) => !given.some((other) => sameIp(other, ip)));
  return inWindowFirst(
    [...free.filter(({ entry }) => isOwn(entry)), ...free.filter(({ entry }) => !isOwn(entry))],
    range,
  );
}

const isOfPod = (entry: Entry, owner: Owner): boolean =>
  owner.podref !== '' && entry.podref === owner.podref && entry.ifname === owner.ifname;

function inWindowFirst(held: readonly Held[], range: ConfiguredRange): readonly Held[] {
  const isGiven = ({ ip }: Held) => includes(range.window, ip) && !range.excluded.some((part) => includes(part, ip));
  return [...held.filter(isGiven), ...held.filter((entry) => !isGiven(entry))];
}

/** Somebody else holds the same address in another range: possible when the protection was off for that range. */
const isContested = ({ ip }: Held, neighbours: readonly Pool[], owner: Owner): boolean =>
  neighbours.some((pool) => {
    const holder = holderOf(pool, ip.value);
    return holder !== undefined && !isOf(owner)(holder) && !isOfPod(holder, owner);
  });

function refreshed({ range, key, entry }: Held, owner: Owner): readonly Change[] {
  const v = entryOf({ ...owner, podref: owner.podref === '' ? entry.podref : owner.podref });
  return v.id === entry.id && v.podref === entry.podref ? [] : [{ range, op: 'replace', k: key, v }];
}

function lowestFreeIn(range: ConfiguredRange, pools: readonly Pool[], given: readonly Ip[]): Ip {
  const { family } = range.window;
  const isTaken = (value: bigint) =>
    pools.some((pool) => holderOf(pool, value) !== undefined) || given.some((ip) => sameIp(ip, { family, value }));
  const value = lowestFree(range.window, range.excluded, isTaken);
  if (value === undefined) {
    const [first, last] = [range.window.first, range.window.last].map((bound) => formatIp({ family, value: bound }));
    throw new CniError(
      'internal',
      `Could not allocate IP in range: ip: ${first} / - ${last} / range: ${formatCidr(range.cidr)} / ` +
        `excludeRanges: [${range.excludedTexts.join(' ')}]: ${holdersText(range, pools)}`,
    );
  }
  return { family, value };
}

/** Named in a message, which must stay short. */
const NAMED_HOLDERS = 3;

/** Who has the addresses of a range that has none left. */
function holdersText(range: ConfiguredRange, pools: readonly Pool[]): string {
  const holders = pools
    .flatMap((pool) => heldIn(pool, () => true))
    .filter(({ ip }) => includes(range.window, ip))
    .map(({ entry: { id, podref, ifname } }) => `${podref || `container ${id}`} ${ifname}`.trimEnd());
  if (holders.length === 0) {
    return 'all of it is excluded';
  }
  const more = holders.length - NAMED_HOLDERS;
  const named = [...holders.slice(0, NAMED_HOLDERS), ...(more > 0 ? [`${more} more`] : [])].join(', ');
  return `held by ${named}; "braid ipam show ${formatCidr(range.cidr)} --json" lists them, "braid ipam check" finds leaks`;
}

const addition = (pool: Pool, ip: Ip, owner: Owner): Change => ({
  range: pool.range,
  op: 'add',
  k: keyOf(pool.network, ip.value),
  v: entryOf(owner),
});

const removal = ({ range, key }: Held): Change => ({ range, op: 'remove', k: key });

const entryOf = ({ id, podref, ifname, network }: Owner): Entry => ({ id, podref, ifname, network });
