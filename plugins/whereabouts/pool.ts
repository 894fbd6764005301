import type { Cidr } from '../../lib/net/cidr.ts';
import type { Ip } from '../../lib/net/ip.ts';
import type { Range } from '../../lib/net/range.ts';
import { storedRange } from './names.ts';

/** One reservation, as an IPPool object holds it. */
export interface Entry {
  /** container id */
  readonly id: string;
  /** `namespace/name`; '' when the caller named no pod */
  readonly podref: string;
  /** '' in entries of old versions */
  readonly ifname: string;
  /**
   * `name` of the configuration that asked. Several configurations may share a pool, and GC speaks for one of them
   * only. Kubernetes objects have no room for it.
   */
  readonly network?: string;
}

/** A reservation and where it is. */
export interface Held {
  /** whose pool it is in: canonical text of the range; with the node, that of a slice: see poolKey */
  readonly range: string;
  readonly ip: Ip;
  readonly entry: Entry;
}

/** A change of a pool. What is replaced or removed is `before`, so that a store can refuse when it is another by now. */
export type Change =
  | ({ readonly op: 'add' } & Held)
  | ({ readonly op: 'replace'; readonly before: Entry } & Held)
  | ({ readonly op: 'remove' } & Held);

/** The reservations of one range. */
export interface Pool {
  /** canonical text of `cidr`, or see poolKey */
  readonly range: string;
  readonly cidr: Cidr;
  /** lowest address first */
  readonly held: readonly Held[];
}

/** What identifies an attachment to the runtime. */
export interface AttachmentId {
  readonly id: string;
  readonly ifname: string;
}

/** Which address a plan is after. */
export interface Search {
  /** the range whose pool will hold it */
  readonly range: string;
  readonly window: Range;
  readonly excluded: readonly Range[];
  /** is an address taken when another range of the network holds it? */
  readonly isAcross: boolean;
  /** who will hold it: an earlier try may have found an address for them already */
  readonly owner: AttachmentId;
  /** taken as well */
  readonly besides: readonly Ip[];
}

/** The pools of one network, as far as a plan has said that it will ask about them. Answers are lowest address first. */
export interface Pools {
  /**
   * What container and interface hold; entries without an interface name are those of the interface ''.
   *
   * @param range undefined means all ranges
   */
  ofAttachment(attachment: AttachmentId, range?: string): readonly Held[];
  /** What a pod has for the interface, whichever its container was. */
  ofPod(podref: string, ifname: string, range: string): readonly Held[];
  /** Everything, for people. */
  all(): readonly Held[];
  /**
   * @param isThorough look at every row: takes long where the store is large
   * @throws CniError when the store as a whole is not what was written
   */
  verify(isThorough: boolean): void;
  /** Names of all networks of the store, for people. */
  networks(): readonly string[];
  /** What a configuration has reserved. */
  ofNetwork(network: string, range: string): readonly Held[];
  /** Who has exactly this address: one for each range that holds it. */
  holdersOf(ip: Ip): readonly Held[];
  /** Some of those who have what the search looks for, and how many there are. */
  holdersIn(search: Pick<Search, 'range' | 'window' | 'isAcross'>, most: number): Holders;
  /** @returns undefined when there is none */
  lowestFree(search: Search): Ip | undefined;
}

export interface Holders {
  readonly some: readonly Held[];
  readonly count: number;
}

/** The pools of these reservations. */
export const poolsOf = (held: readonly Held[]): readonly Pool[] =>
  [...Map.groupBy(held, ({ range }) => range)].map(([range, own]) => ({ range, cidr: storedRange(range), held: own }));

export const isOf = (attachment: AttachmentId) => (entry: Entry) =>
  entry.id === attachment.id && entry.ifname === attachment.ifname;

export const sameHeld = (a: Held, b: Held): boolean =>
  a.range === b.range && a.ip.family === b.ip.family && a.ip.value === b.ip.value;

export const byAddress = (a: Held, b: Held): number =>
  a.ip.family - b.ip.family || (a.ip.value < b.ip.value ? -1 : a.ip.value > b.ip.value ? 1 : 0);
