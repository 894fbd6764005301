import type { Family, Ip } from '../../../lib/net/ip.ts';
import { type Range, rangeFrom } from '../../../lib/net/range.ts';
import type { SqlRow } from '../../../lib/sys/database.ts';
import {
  type AttachmentId,
  byAddress,
  type Change,
  type Held,
  type Holders,
  isOf,
  type Pools,
  type Search,
} from '../pool.ts';
import type { Connection } from './connection.ts';
import { StoreDamaged } from './faults.ts';
import { FreeRuns } from './free-runs.ts';
import { inspect } from './inspect.ts';
import { checksumOf, columnsOf, heldOf, keyOf } from './rows.ts';

// Without statistics the planner would take the primary key, and read the whole network.
const OF_ATTACHMENT =
  'SELECT * FROM reservation INDEXED BY by_container WHERE network = ? AND container = ? AND interface = ?';
const OF_POD =
  "SELECT * FROM reservation INDEXED BY by_pod WHERE network = ? AND pod = ? AND interface = ? AND pod <> ''";
const OF_ADDRESS = 'SELECT * FROM reservation WHERE network = ? AND key = ?';
const ALL = 'SELECT * FROM reservation WHERE network = ? ORDER BY key, range';
const OF_CONF = 'SELECT * FROM reservation WHERE network = ? AND range = ? AND conf = ? ORDER BY key';
const HOLDERS =
  'SELECT * FROM reservation WHERE network = ? AND key BETWEEN ? AND ? AND range = ? ORDER BY key LIMIT ?';
const HOLDERS_ACROSS = 'SELECT * FROM reservation WHERE network = ? AND key BETWEEN ? AND ? ORDER BY key LIMIT ?';
const COUNT = 'SELECT count(*) AS count FROM reservation WHERE network = ? AND key BETWEEN ? AND ? AND range = ?';
const COUNT_ACROSS = 'SELECT count(*) AS count FROM reservation WHERE network = ? AND key BETWEEN ? AND ?';
const FIRST_NETWORK = 'SELECT network FROM reservation ORDER BY network LIMIT 1';
const NEXT_NETWORK = 'SELECT network FROM reservation WHERE network > ? ORDER BY network LIMIT 1';
const INSERT = 'INSERT INTO reservation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)';
const DELETE = 'DELETE FROM reservation WHERE network = ? AND key = ? AND range = ?';

/** Any range of a network. */
const ACROSS = '';

/** The pools of one network in the database, within a transaction. Each answer is checked before it is given. */
export class SqlPools implements Pools {
  private readonly store: Connection;
  private readonly network: string;
  private readonly free = new Map<string, FreeRuns>();

  constructor(store: Connection, networkName: string) {
    this.store = store;
    this.network = networkName;
  }

  ofAttachment(attachment: AttachmentId, range?: string): readonly Held[] {
    const rows = this.store.all(OF_ATTACHMENT, this.network, attachment.id, attachment.ifname);
    return this.checked(rows, ({ entry }) => isOf(attachment)(entry)).filter(
      (held) => range === undefined || held.range === range,
    );
  }

  ofPod(podref: string, ifname: string, range: string): readonly Held[] {
    const rows = this.store.all(OF_POD, this.network, podref, ifname);
    const held = this.checked(rows, ({ entry }) => entry.podref === podref && entry.ifname === ifname);
    return held.filter((one) => one.range === range);
  }

  all(): readonly Held[] {
    return this.checked(this.store.all(ALL, this.network));
  }

  verify(isThorough: boolean): void {
    if (isThorough) {
      inspect(this.store);
      return;
    }
    const answer = this.store.get('PRAGMA quick_check(1)')?.['quick_check'];
    if (answer !== 'ok') {
      throw new StoreDamaged(this.store.path, String(answer));
    }
  }

  networks(): readonly string[] {
    const names: string[] = [];
    let row = this.store.get(FIRST_NETWORK);
    while (row !== undefined) {
      const name = String(row['network']);
      names.push(name);
      row = this.store.get(NEXT_NETWORK, name);
    }
    return names;
  }

  ofNetwork(network: string, range: string): readonly Held[] {
    return this.checked(this.store.all(OF_CONF, this.network, range, network));
  }

  holdersOf(ip: Ip): readonly Held[] {
    return this.checked(this.store.all(OF_ADDRESS, this.network, keyOf(ip)), (held) => held.ip.value === ip.value);
  }

  holdersIn({ range, window, isAcross }: Pick<Search, 'range' | 'window' | 'isAcross'>, most: number): Holders {
    const { family, first, last } = window;
    const between = [this.network, keyOf({ family, value: first }), keyOf({ family, value: last })];
    const [holders, count, asked] = isAcross
      ? [HOLDERS_ACROSS, COUNT_ACROSS, between]
      : [HOLDERS, COUNT, [...between, range]];
    const some = most === 0 ? [] : this.checked(this.store.all(holders, ...asked, most));
    return { some, count: Number(this.store.get(count, ...asked)?.['count']) };
  }

  /** What is free by one table must be held by nobody in the other. */
  lowestFree(search: Search): Ip | undefined {
    const { range, window, excluded, isAcross, besides, from = window.first } = search;
    const { family } = window;
    const runs = this.runs(isAcross ? ACROSS : range, family);
    const value = runs.lowest(rangeFrom(window, from), excluded, besides) ?? runs.lowest(window, excluded, besides);
    if (value === undefined) {
      this.mustBeFull(search);
      return undefined;
    }
    const ip = { family, value };
    const holders = this.holdersOf(ip).filter((held) => isAcross || held.range === range);
    if (holders.length > 0) {
      throw new StoreDamaged(this.store.path, `address ${keyOf(ip)} is held and free`);
    }
    return ip;
  }

  /** What is free by no table must be held, for all that can be known without looking at each address. */
  private mustBeFull({ window, excluded, besides, ...search }: Search): void {
    const { count } = this.holdersIn({ window, ...search }, 0);
    const own = excluded.filter(({ family }) => family === window.family);
    const passed = own.map((part) => sizeOf(common(part, window))).reduce((sum, size) => sum + size, 0n);
    if (BigInt(count + besides.length) + passed < sizeOf(window)) {
      const between = `${keyOf({ ...window, value: window.first })} to ${keyOf({ ...window, value: window.last })}`;
      throw new StoreDamaged(this.store.path, `addresses from ${between} are neither held nor free`);
    }
  }

  /** What is asked next takes these as recorded. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.op) {
        case 'add':
          this.add(change);
          break;
        case 'replace':
          this.forget(change);
          this.record(change);
          break;
        case 'remove':
          this.remove(change);
          break;
      }
    }
  }

  private add(held: Held): void {
    const { family, value } = held.ip;
    const isFree = this.runs(held.range, family).take(value);
    const isNews = this.runs(ACROSS, family).take(value);
    if (!isFree || (!isNews && this.holdersOf(held.ip).length === 0)) {
      throw new StoreDamaged(this.store.path, `address ${keyOf(held.ip)} is free and not free`);
    }
    this.record(held);
  }

  private remove(held: Held): void {
    const { family, value } = held.ip;
    this.forget(held);
    this.runs(held.range, family).give(value);
    if (this.holdersOf(held.ip).length === 0) {
      this.runs(ACROSS, family).give(value);
    }
  }

  private record(held: Held): void {
    const columns = columnsOf(this.network, held);
    this.store.run(INSERT, ...columns, checksumOf(...columns));
  }

  private forget({ ip, range }: Held): void {
    this.store.run(DELETE, this.network, keyOf(ip), range);
  }

  private runs(range: string, family: Family): FreeRuns {
    const key = `${family} ${range}`;
    const runs = this.free.get(key) ?? new FreeRuns(this.store, this.network, range, family);
    this.free.set(key, runs);
    return runs;
  }

  /** @param isAsked a row may be another than its index said */
  private checked(rows: readonly SqlRow[], isAsked: (held: Held) => boolean = () => true): readonly Held[] {
    return rows
      .map((row) => {
        const held = heldOf(row);
        if (held === undefined || !isAsked(held)) {
          throw new StoreDamaged(
            this.store.path,
            `the row of address "${String(row['address'])}" does not match its checksum`,
          );
        }
        return held;
      })
      .sort(byAddress);
  }
}

const common = (a: Range, b: Range): Range => ({
  family: a.family,
  first: a.first > b.first ? a.first : b.first,
  last: a.last < b.last ? a.last : b.last,
});

const sizeOf = ({ first, last }: Range): bigint => (first > last ? 0n : last - first + 1n);
