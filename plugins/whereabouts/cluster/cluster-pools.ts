import { CniError } from '../../../lib/cni/errors.ts';
import { formatIp, type Ip, sameIp } from '../../../lib/net/ip.ts';
import { includes, lowestFree, type Range, rangeFrom } from '../../../lib/net/range.ts';
import { NotYet } from '../engine.ts';
import { LARGEST_KEY } from '../names.ts';
import {
  type AttachmentId,
  byAddress,
  type Change,
  type Held,
  type Holders,
  type Pools,
  type Search,
} from '../pool.ts';
import type { Stored } from './pool-entries.ts';
import { sizeRemarks } from './pool-size.ts';
import type { PoolState } from './pool-state.ts';
import { isInside } from './stored-pool.ts';

/** What tries have found out about addresses of a network that its pools do not show. */
export interface Findings {
  /** The address is reserved, and no pool that is loaded says so. */
  holderOf(ip: Ip): Held | undefined;
  /** Addresses that an earlier try has reserved for the attachment. */
  claimedBy(attachment: AttachmentId): readonly Ip[];
  /** … for another one. */
  isClaimed(ip: Ip, besides: AttachmentId): boolean;
  /** How far from the lowest address the search may begin: anywhere near where others want the lowest too. */
  readonly spread: number;
  /** How many of the lowest addresses are left to others as long as there are more. */
  readonly left: number;
  /** Has somebody an address for the time being only? Then that is not known any more from now on. */
  mayChange(): boolean;
}

/** The pools of one network that have been loaded. */
export class ClusterPools implements Pools {
  private readonly states: ReadonlyMap<string, PoolState>;
  private readonly findings: Findings;
  private readonly names: () => readonly string[];
  /** from 0 up to, not including, 1 */
  private readonly start: number;
  /** Below it nothing is free: what is taken stays so, see PoolState. */
  private readonly lowest = new Map<string, bigint>();

  /** @param states by range */
  constructor(
    states: ReadonlyMap<string, PoolState>,
    findings: Findings,
    names: () => readonly string[] = () => [],
    start = Math.random(),
  ) {
    this.states = states;
    this.findings = findings;
    this.names = names;
    this.start = start;
  }

  ofAttachment(attachment: AttachmentId, range?: string): readonly Held[] {
    return this.heldIn((state) => state.ofAttachment(attachment), range).sort(byAddress);
  }

  ofPod(podref: string, ifname: string, range: string): readonly Held[] {
    return this.heldIn((state) => state.ofPod({ podref, ifname }), range).sort(byAddress);
  }

  all(): readonly Held[] {
    return this.matching(() => true);
  }

  verify(): void {
    // the server's business
  }

  networks(): readonly string[] {
    return this.names();
  }

  ofNetwork(network: string, range: string): readonly Held[] {
    return this.matching(({ held }) => held.entry.network === network, range);
  }

  holdersOf(ip: Ip): readonly Held[] {
    const held = [...this.states.values()]
      .filter(({ pool }) => pool.cidr.ip.family === ip.family)
      .flatMap((state) => state.at(ip.value).map((one) => one.held));
    const other = this.findings.holderOf(ip);
    return other === undefined ? held : [...held, other];
  }

  holdersIn({ range, window, isAcross }: Pick<Search, 'range' | 'window' | 'isAcross'>, most: number): Holders {
    const all = this.unsorted(({ held }) => includes(window, held.ip), isAcross ? undefined : range);
    return { some: most === 0 ? [] : all.sort(byAddress).slice(0, most), count: all.length };
  }

  lowestFree(search: Search): Ip | undefined {
    const { range, window, excluded, isAcross, owner, besides } = search;
    const { family } = window;
    const readable = this.readable(range, window);
    const states = [...this.states.values()].filter(
      ({ pool }) => pool.range === range || (isAcross && pool.cidr.ip.family === family),
    );
    const isHeld = (value: bigint): boolean =>
      states.some((state) => state.isTaken(value)) ||
      (isAcross && this.findings.holderOf({ family, value }) !== undefined);
    const isTaken = (value: bigint): boolean =>
      isHeld(value) ||
      besides.some((ip) => sameIp(ip, { family, value })) ||
      this.findings.isClaimed({ family, value }, owner);
    const claimed = this.findings.claimedBy(owner).find((ip) => isGiven(ip, readable, excluded) && !isTaken(ip.value));
    if (claimed !== undefined) {
      return claimed;
    }
    const from = { ...readable, first: this.firstNotHeld(search, readable, { states, isHeld }) };
    const start = rangeFrom(from, search.from ?? this.startIn(from));
    const value = lowestFree(start, excluded, isTaken) ?? lowestFree(from, excluded, isTaken);
    if (value === undefined && isAcross && this.findings.mayChange()) {
      throw new NotYet();
    }
    return value === undefined ? undefined : { family, value };
  }

  remarks(range: string): readonly string[] {
    const state = this.states.get(range);
    return state === undefined ? [] : sizeRemarks(state.pool);
  }

  /** What is asked next takes these as recorded. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      const state = this.states.get(change.range);
      switch (change.op) {
        case 'add':
          state?.add(change);
          break;
        case 'replace':
          state?.replace(change, change.before);
          break;
        case 'remove':
          state?.remove(change);
          break;
      }
    }
  }

  /**
   * The part of a window whose keys every plugin can read.
   *
   * @throws CniError invalidNetworkConfig when there is none
   */
  private readable(range: string, window: Range): Range {
    const base = this.states.get(range)?.pool.base ?? window.first;
    const last = base + LARGEST_KEY;
    const part = {
      ...window,
      first: window.first < base ? base : window.first,
      last: window.last > last ? last : window.last,
    };
    if (window.first > last) {
      const [first, end] = [window.first, last].map((value) => formatIp({ family: window.family, value }));
      throw new CniError(
        'invalidNetworkConfig',
        `cannot give addresses of "${range}" from ${first} on: the cluster's pools hold those up to ${end} only`,
      );
    }
    return part;
  }

  /** The same for all searches of a try: what a pod gets lies together, and meets others' as a whole or not at all. */
  private startIn({ first, last }: Range): bigint {
    const left = BigInt(this.findings.left);
    const from = last - first > left ? first + left : first;
    const size = last - from + 1n;
    const spread = size < BigInt(this.findings.spread) ? Number(size) : this.findings.spread;
    return from + BigInt(Math.floor(this.start * spread));
  }

  private firstNotHeld(
    { range, isAcross }: Search,
    window: Range,
    { states, isHeld }: { readonly states: readonly PoolState[]; readonly isHeld: (value: bigint) => boolean },
  ): bigint {
    const key = `${range} ${isAcross} ${window.first}`;
    const past = (from: bigint): bigint =>
      states.reduce((value, state) => state.firstNotTaken(value, window.last), from);
    let value = past(this.lowest.get(key) ?? window.first);
    while (value < window.last && isHeld(value)) {
      value = past(value + 1n);
    }
    this.lowest.set(key, value);
    return value;
  }

  private matching(matches: (stored: Stored) => boolean, range?: string): readonly Held[] {
    return this.unsorted(matches, range).sort(byAddress);
  }

  private unsorted(matches: (stored: Stored) => boolean, range?: string): Held[] {
    return this.heldIn((state) => state.stored.filter(matches), range);
  }

  private heldIn(find: (state: PoolState) => readonly Stored[], range: string | undefined): Held[] {
    const own = range === undefined ? undefined : this.states.get(range);
    const states = range === undefined ? [...this.states.values()] : own === undefined ? [] : [own];
    return states.flatMap((state) =>
      find(state).flatMap((one) => (range === undefined || isInside(state.pool, one) ? [one.held] : [])),
    );
  }
}

const isGiven = (ip: Ip, window: Range, excluded: readonly Range[]): boolean =>
  includes(window, ip) && !excluded.some((part) => includes(part, ip));
