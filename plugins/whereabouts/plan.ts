import { CniError } from '../../lib/cni/errors.ts';
import { formatIp, type Ip, sameIp } from '../../lib/net/ip.ts';
import { includes } from '../../lib/net/range.ts';
import { poolKey } from './names.ts';
import {
  type AttachmentId,
  type Change,
  type Entry,
  type Held,
  type Holders,
  isOf,
  type Pools,
  sameHeld,
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
 * One address of every range, all or none. What the owner holds already is given again, with its container id brought
 * up to date; else the lowest free address of the range's window is.
 *
 * @throws CniError internal when a range has no address left
 */
export function planReservation(request: Reservation, pools: Pools): Plan<readonly Ip[]> {
  const changes: Change[] = [];
  const given: Ip[] = [];
  for (const range of request.ranges) {
    const name = poolKey(range);
    const held = reusable(request.owner, range, pools).filter(({ ip }) => !given.some((other) => sameIp(other, ip)));
    const stays = held.find((one) => !request.protectOverlaps || !isContested(one, pools, request.owner));
    if (stays !== undefined) {
      changes.push(...refreshed(stays, request.owner));
      given.push(stays.ip);
      continue;
    }
    const ip = lowestFree(range, request, pools, given);
    changes.push(...held.map(removal), { op: 'add', range: name, ip, entry: entryOf(request.owner) });
    given.push(ip);
  }
  return { changes, answer: given };
}

/**
 * Everything that an attachment holds, in whatever pool of the network: ranges may have been reconfigured since. Container
 * id and interface name stand for one attachment, so nobody else's address can be meant. Entries without an interface
 * name, which only old versions wrote, go when nothing else of the container matches.
 */
export function planRelease(attachment: AttachmentId, pools: Pools): Plan<readonly Held[]> {
  const own = pools.ofAttachment(attachment);
  const held = own.length > 0 ? own : pools.ofAttachment(legacy(attachment));
  return { changes: held.map(removal), answer: held };
}

const legacy = ({ id }: AttachmentId): AttachmentId => ({ id, ifname: '' });

/** The address the attachment holds in each of the ranges; undefined where it holds none. */
export function findHeld(
  attachment: AttachmentId,
  ranges: readonly ConfiguredRange[],
  pools: Pools,
): readonly (Ip | undefined)[] {
  const found: Ip[] = [];
  return ranges.map((range) => {
    const name = poolKey(range);
    const held = [...pools.ofAttachment(attachment, name), ...pools.ofAttachment(legacy(attachment), name)];
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
  const isValid = ({ id, ifname }: Entry) => (ifname === '' ? containers.has(id) : attachments.has(`${id} ${ifname}`));
  const names = new Set(ranges.map(poolKey));
  const held = [...names].flatMap((name) => pools.ofNetwork(network, name).filter(({ entry }) => !isValid(entry)));
  return { changes: held.map(removal), answer: held };
}

/**
 * The owner's entries in the pool; those the configuration would still give come first, since a pool that is configured
 * twice has one for each of its windows.
 */
function reusable(owner: Owner, range: ConfiguredRange, pools: Pools): readonly Held[] {
  const name = poolKey(range);
  const own = pools.ofAttachment(owner, name);
  const ofPod = owner.podref === '' ? [] : pools.ofPod(owner.podref, owner.ifname, name);
  return inWindowFirst([...own, ...ofPod.filter((held) => !own.some((other) => sameHeld(other, held)))], range);
}

const isOfPod = (entry: Entry, owner: Owner): boolean =>
  owner.podref !== '' && entry.podref === owner.podref && entry.ifname === owner.ifname;

function inWindowFirst(held: readonly Held[], range: ConfiguredRange): readonly Held[] {
  const isGiven = ({ ip }: Held) => includes(range.window, ip) && !range.excluded.some((part) => includes(part, ip));
  return [...held.filter(isGiven), ...held.filter((entry) => !isGiven(entry))];
}

/** Somebody else holds the same address in another range: possible when the protection was off for that range. */
const isContested = ({ ip, range }: Held, pools: Pools, owner: Owner): boolean =>
  pools
    .holdersOf(ip)
    .some(({ range: other, entry }) => other !== range && !isOf(owner)(entry) && !isOfPod(entry, owner));

function refreshed({ range, ip, entry: before }: Held, owner: Owner): readonly Change[] {
  const entry = entryOf({ ...owner, podref: owner.podref === '' ? before.podref : owner.podref });
  return entry.id === before.id && entry.podref === before.podref ? [] : [{ op: 'replace', range, ip, entry, before }];
}

function lowestFree(
  range: ConfiguredRange,
  { owner, protectOverlaps }: Reservation,
  pools: Pools,
  given: readonly Ip[],
): Ip {
  const { window, excluded, excludedTexts } = range;
  const name = poolKey(range);
  const search = { range: name, window, excluded, isAcross: protectOverlaps, owner, besides: given };
  const ip = pools.lowestFree(search);
  if (ip === undefined) {
    const [first, last] = [window.first, window.last].map((value) => formatIp({ family: window.family, value }));
    throw new CniError(
      'internal',
      `Could not allocate IP in range: ip: ${first} / - ${last} / range: ${name} / ` +
        `excludeRanges: [${excludedTexts.join(' ')}]: ${holdersText(name, pools.holdersIn(search, NAMED_HOLDERS))}`,
    );
  }
  return ip;
}

/** Named in a message, which must stay short. */
const NAMED_HOLDERS = 3;

/** Who has the addresses of a range that has none left. */
function holdersText(name: string, { some, count }: Holders): string {
  if (count === 0) {
    return 'all of it is excluded';
  }
  const holders = some.map(({ entry: { id, podref, ifname } }) => `${podref || `container ${id}`} ${ifname}`.trimEnd());
  const more = count - holders.length;
  const named = [...holders, ...(more > 0 ? [`${more} more`] : [])].join(', ');
  return `held by ${named}; "braid ipam show ${name} --json" lists them, "braid ipam check" finds leaks`;
}

const removal = (held: Held): Change => ({ op: 'remove', ...held });

const entryOf = ({ id, podref, ifname, network }: Owner): Entry => ({ id, podref, ifname, network });
