import type { Cidr } from '../../lib/net/cidr.ts';
import type { Ip } from '../../lib/net/ip.ts';
import { addressOf, keyOf } from './names.ts';

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

/** The reservations of one range, by key. */
export interface Pool {
  /** canonical text of `cidr` */
  readonly range: string;
  readonly cidr: Cidr;
  /** first address of `cidr`, from which keys count */
  readonly network: bigint;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** The pools of one network. */
export interface Pools {
  /** ranges that have reservations, in canonical text */
  readonly ranges: readonly string[];
  /** an empty pool when the range has no reservations */
  pool(range: string): Pool;
  /** the pools in which the text occurs: a cheap way round reading all of them */
  mentioning(text: string): readonly Pool[];
  /** What is planned next takes these as recorded. */
  apply(changes: readonly Change[]): void;
}

/** A change of the stored state. */
export type Change =
  | { readonly range: string; readonly op: 'add' | 'replace'; readonly k: string; readonly v: Entry }
  | { readonly range: string; readonly op: 'remove'; readonly k: string };

/** A reservation and where it is. */
export interface Held {
  readonly range: string;
  readonly key: string;
  readonly ip: Ip;
  readonly entry: Entry;
}

/** What identifies an attachment to the runtime. */
export interface AttachmentId {
  readonly id: string;
  readonly ifname: string;
}

/** The reservation of exactly this address, if any. */
export const holderOf = (pool: Pool, value: bigint): Entry | undefined => pool.entries.get(keyOf(pool.network, value));

/** The reservations that match, lowest address first. */
export function heldIn(pool: Pool, matches: (entry: Entry) => boolean): readonly Held[] {
  const found: Held[] = [];
  for (const [key, entry] of pool.entries) {
    const ip = matches(entry) ? addressOf(pool.cidr, key) : undefined;
    if (ip !== undefined) {
      found.push({ range: pool.range, key, ip, entry });
    }
  }
  return found.sort((a, b) => (a.ip.value < b.ip.value ? -1 : 1));
}

export const isOf = (attachment: AttachmentId) => (entry: Entry) =>
  entry.id === attachment.id && entry.ifname === attachment.ifname;

/** Entries that name no interface belong to their container as a whole. */
export const isLegacyOf = (attachment: AttachmentId) => (entry: Entry) =>
  entry.id === attachment.id && entry.ifname === '';
