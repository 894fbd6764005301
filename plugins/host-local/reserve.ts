import { CniError } from '../../lib/cni/errors.ts';
import { formatIp, type Ip, parseIp } from '../../lib/net/ip.ts';
import type { AddressFolder } from './address-folder.ts';
import type { Owner } from './owners.ts';
import { formatSet, type RangeSet, rangeFor } from './ranges.ts';
import type { Requested } from './requested.ts';
import { type Candidate, candidatesOf } from './rotation.ts';

export interface Reservation {
  readonly owner: Owner;
  readonly sets: readonly RangeSet[];
  /** the address that is asked of each set */
  readonly requested: readonly (Requested | undefined)[];
}

/**
 * One address of every set, all or none. What the attachment has from before stays its own when it fails.
 *
 * @throws CniError internal when a set has no address left, the one that is asked for is taken, or the attachment has one
 * of the set already; ioFailure
 */
export function reserve({ owner, sets, requested }: Reservation, folder: AddressFolder): readonly Candidate[] {
  const given: Candidate[] = [];
  try {
    for (const [index, set] of sets.entries()) {
      const wanted = requested[index];
      const one = wanted === undefined ? nextOf(set, index, owner, folder) : thisOf(set, index, wanted, owner, folder);
      given.push(one);
      folder.keepLastGiven(index, one.ip);
    }
    return given;
  } catch (error) {
    for (const { ip } of given) {
      try {
        folder.takeBack(formatIp(ip));
      } catch {
        // it stays the attachment's, and its DEL gives it back
      }
    }
    throw error;
  }
}

/** The texts are the Go plugin's, which people know from logs. */
const failure = (set: number, why: string): CniError =>
  new CniError('internal', `failed to allocate for range ${set}: ${why}`);

function nextOf(set: RangeSet, index: number, owner: Owner, folder: AddressFolder): Candidate {
  const before = folder.heldBy(owner).find(({ ip }) => rangeFor(set, ip) !== undefined);
  if (before !== undefined) {
    const what = `${formatIp(before.ip)} has been allocated to ${owner.id}`;
    throw failure(index, `${what}, duplicate allocation is not allowed`);
  }
  const last = folder.lastGiven(index);
  const give = (): Candidate | undefined => candidatesOf(set, last).find(({ ip }) => folder.give(ip, owner));
  const found = give() ?? (clearAbandoned(folder, set) > 0 ? give() : undefined);
  if (found === undefined) {
    throw failure(index, `no IP addresses available in range set: ${formatSet(set)}`);
  }
  return found;
}

function thisOf(set: RangeSet, index: number, { ip }: Requested, owner: Owner, folder: AddressFolder): Candidate {
  const range = rangeFor(set, ip);
  if (range === undefined || !(folder.give(ip, owner) || (clearOne(folder, ip) && folder.give(ip, owner)))) {
    const { id = '', ifname = '' } = folder.holderOf(ip) ?? {};
    const whose = id === '' ? '' : `: container ${`${id} ${ifname}`.trimEnd()} has it`;
    throw failure(
      index,
      `requested IP address ${formatIp(ip)} is not available in range set ${formatSet(set)}${whose}`,
    );
  }
  return { ip, range };
}

/** When nothing else is left: until then the choice is the Go plugin's, for which they are taken. */
function clearAbandoned(folder: AddressFolder, set: RangeSet): number {
  const names = folder.abandoned().filter((name) => isIn(set, name));
  for (const name of names) {
    folder.takeBack(name);
  }
  return names.length;
}

function clearOne(folder: AddressFolder, ip: Ip): boolean {
  const [name] = folder.abandoned().filter((one) => one === formatIp(ip));
  if (name !== undefined) {
    folder.takeBack(name);
  }
  return name !== undefined;
}

function isIn(set: RangeSet, name: string): boolean {
  const ip = parseIp(name);
  return ip !== undefined && rangeFor(set, ip) !== undefined;
}
