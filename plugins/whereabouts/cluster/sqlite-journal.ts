import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { CniError } from '../../../lib/cni/errors.ts';
import { makeFolder } from '../../../lib/sys/atomic-file.ts';
import { isBusy, type OpenDatabase, type SqlRow } from '../../../lib/sys/database.ts';
import { Connection } from '../embedded/connection.ts';
import { StoreDamaged } from '../embedded/faults.ts';
import type { Caller } from '../engine.ts';
import type { ClusterPlace } from '../place.ts';
import type { AttachmentId } from '../pool.ts';
import {
  attachmentKey,
  type Burial,
  type Deleted,
  type Deletion,
  type JournalChange,
  type JournalRow,
  type NodeJournal,
} from './journal.ts';
import { columnsOf, rangesOf, rowOf } from './journal-rows.ts';
import { APPLICATION_ID, FORMAT, SCHEMA } from './journal-schema.ts';

export const JOURNAL_FILE = 'cluster.db';

const HELD_BY = 'SELECT * FROM held WHERE cluster = ? AND network = ? AND container = ? AND interface = ?';
const HELD = 'SELECT * FROM held WHERE cluster = ? AND network = ?';
const ALL_HELD = 'SELECT * FROM held WHERE cluster = ?';
const CLUSTERS = 'SELECT cluster FROM held UNION SELECT cluster FROM deleted WHERE done = 0';
const HOLD = 'INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)';
const FORGET =
  'DELETE FROM held WHERE cluster = ? AND network = ? AND container = ? AND interface = ? AND range = ? AND key = ?';
const DELETED =
  'SELECT at, busy, done FROM deleted WHERE cluster = ? AND network = ? AND container = ? AND interface = ?';
const BURY = 'INSERT OR REPLACE INTO deleted VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)';
const ONE = 'WHERE cluster = ? AND network = ? AND container = ? AND interface = ?';
const FINISH = `UPDATE deleted SET done = 1 ${ONE}`;
const POSTPONE = `UPDATE deleted SET tries = tries + 1, busy = 0, due = ? + min(1000 << min(tries, 12), 300000) ${ONE} AND done = 0`;
const TAKE = `UPDATE deleted SET busy = ?, due = ? ${ONE} AND done = 0`;
const PRUNE = 'DELETE FROM deleted WHERE done = 1 AND at < ?';
const DUE = 'SELECT * FROM deleted WHERE cluster = ? AND done = 0 AND due <= ? ORDER BY due LIMIT ?';
const WAITING = 'SELECT count(*) AS count FROM deleted WHERE cluster = ? AND done = 0';

/** How long it is remembered that an attachment was deleted: longer than any call that adds it. */
const REMEMBERED_MS = 600_000;

/** So long a call may take that gives back. */
const BUSY_MS = 35_000;

const LONGEST_WAIT_MS = 10_000;
const LONGEST_PAUSE_MS = 16;

/**
 * The journal of a node: an SQLite database in the data directory. One that is damaged is put aside, and another begun: it
 * only remembers what the pools know.
 */
export class SqliteJournal implements NodeJournal, Disposable {
  private readonly folder: string;
  private readonly cluster: string;
  private readonly openDatabase: OpenDatabase;
  private readonly caller: Caller;
  private readonly wallClock: () => number;
  private connection: Connection | undefined;

  constructor(
    { dataDir, kubeconfig }: Pick<ClusterPlace, 'dataDir' | 'kubeconfig'>,
    openDatabase: OpenDatabase,
    caller: Caller,
    wallClock: () => number = Date.now,
  ) {
    this.folder = dataDir;
    this.cluster = kubeconfig;
    this.openDatabase = openDatabase;
    this.caller = caller;
    this.wallClock = wallClock;
  }

  rowsOf(networkName: string, attachments: readonly AttachmentId[]): Promise<readonly JournalRow[]> {
    return this.read([], (store) =>
      attachments.flatMap(({ id, ifname }) =>
        store.all(HELD_BY, this.cluster, networkName, id, ifname).flatMap((row) => rowOf(row)),
      ),
    );
  }

  all(networkName: string): Promise<readonly JournalRow[]> {
    return this.read([], (store) => store.all(HELD, this.cluster, networkName).flatMap((row) => rowOf(row)));
  }

  /** What all have, whatever the network. */
  everything(): Promise<readonly JournalRow[]> {
    return this.read([], (store) => store.all(ALL_HELD, this.cluster).flatMap((row) => rowOf(row)));
  }

  /** Kubeconfigs of all clusters that it knows of. */
  clusters(): Promise<readonly string[]> {
    return this.read([], (store) => store.all(CLUSTERS).map(({ cluster }) => String(cluster)));
  }

  record({ remove, write }: JournalChange): Promise<void> {
    return this.change((store) => {
      for (const { networkName, id, ifname, range, key } of remove) {
        store.run(FORGET, this.cluster, networkName, id, ifname, range, key);
      }
      for (const row of write) {
        store.run(HOLD, this.cluster, ...columnsOf(row));
      }
    });
  }

  deletions(networkName: string, attachments: readonly AttachmentId[]): Promise<ReadonlyMap<string, Deleted>> {
    const now = this.wallClock();
    return this.read(new Map(), (store) => {
      const found = attachments.flatMap((one): readonly (readonly [string, Deleted])[] => {
        const row = store.get(DELETED, this.cluster, networkName, one.id, one.ifname);
        return row === undefined ? [] : [[attachmentKey(one), deletedOf(row, now)]];
      });
      return new Map(found);
    });
  }

  async bury(deletions: readonly Deletion[], { afterMs, isUnderWay }: Burial): Promise<void> {
    if (deletions.length === 0) {
      return;
    }
    const now = this.wallClock();
    await this.change((store) => {
      store.run(PRUNE, now - REMEMBERED_MS);
      for (const { networkName, id, ifname, ranges } of deletions) {
        const where = ranges === undefined ? '' : JSON.stringify(ranges);
        const due = now + afterMs;
        store.run(BURY, this.cluster, networkName, id, ifname, where, now, due, isUnderWay ? due : 0);
      }
    });
  }

  finish(deletions: readonly Deletion[]): Promise<void> {
    return this.each(deletions, (store, one) => store.run(FINISH, ...one));
  }

  postpone(deletions: readonly Deletion[]): Promise<void> {
    const now = this.wallClock();
    return this.each(deletions, (store, one) => store.run(POSTPONE, now, ...one));
  }

  async due(most: number): Promise<readonly Deletion[]> {
    const now = this.wallClock();
    const find = (store: Connection) => store.all(DUE, this.cluster, now, most).map(deletionOf);
    if ((await this.read([], find)).length === 0) {
      return [];
    }
    const found: Deletion[] = [];
    await this.change((store) => {
      found.push(...find(store));
      for (const { networkName, id, ifname } of found) {
        store.run(TAKE, now + BUSY_MS, now + BUSY_MS, this.cluster, networkName, id, ifname);
      }
    });
    return found;
  }

  async take({ networkName, id, ifname }: Omit<Deletion, 'ranges'>): Promise<boolean> {
    const now = this.wallClock();
    const one = [this.cluster, networkName, id, ifname] as const;
    let isTaken = false;
    await this.change((store) => {
      const row = store.get(DELETED, ...one);
      isTaken = row !== undefined && deletedOf(row, now).state === 'waiting';
      if (isTaken) {
        store.run(TAKE, now + BUSY_MS, now + BUSY_MS, ...one);
      }
    });
    return isTaken;
  }

  waiting(): Promise<number> {
    return this.read(0, (store) => Number(store.get(WAITING, this.cluster)?.['count'] ?? 0));
  }

  [Symbol.dispose](): void {
    this.connection?.close();
    this.connection = undefined;
  }

  private async each(
    deletions: readonly Deletion[],
    work: (store: Connection, one: readonly [string, string, string, string]) => void,
  ) {
    if (deletions.length > 0) {
      await this.change((store) => {
        for (const { networkName, id, ifname } of deletions) {
          work(store, [this.cluster, networkName, id, ifname]);
        }
      });
    }
  }

  /** What only looks makes no journal. */
  private async read<T>(nothing: T, work: (store: Connection) => T): Promise<T> {
    return existsSync(this.path)
      ? this.transacted((store) => {
          store.exec('BEGIN');
          store.rememberLog();
          return isNew(store) ? nothing : work(store);
        })
      : nothing;
  }

  private async change(work: (store: Connection) => void): Promise<void> {
    await this.transacted((store) => {
      if (store.hasLongLog(1)) {
        store.shortenLog(1);
      }
      store.exec('BEGIN IMMEDIATE');
      store.rememberLog();
      if (isNew(store)) {
        store.exec(SCHEMA);
      }
      work(store);
    });
  }

  private get path(): string {
    return join(this.folder, JOURNAL_FILE);
  }

  private async transacted<T>(work: (store: Connection) => T): Promise<T> {
    const deadline = this.caller.now() + LONGEST_WAIT_MS;
    let mayPutAside = true;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        return await this.attempt(work);
      } catch (error) {
        if (error instanceof StoreDamaged && mayPutAside) {
          mayPutAside = false;
          this.putAside();
        } else if (!isBusy(error)) {
          throw error;
        } else if (this.caller.now() >= deadline) {
          const why = `others have held it for ${LONGEST_WAIT_MS} ms`;
          throw new CniError('tryAgainLater', `cannot lock the journal "${this.path}": ${why}`);
        }
      }
      await this.caller.sleep(Math.ceil(Math.random() * pauseMs));
    }
  }

  private async attempt<T>(work: (store: Connection) => T): Promise<T> {
    const store = await this.connected();
    try {
      const answer = work(store);
      store.exec('COMMIT');
      return answer;
    } catch (error) {
      store.rollback();
      throw error;
    }
  }

  private async connected(): Promise<Connection> {
    if (this.connection?.replaced !== undefined) {
      this.connection.close();
      this.connection = undefined;
    }
    if (this.connection === undefined) {
      makeFolder(this.folder);
      this.connection = await Connection.create(this.path, this.openDatabase);
    }
    return this.connection;
  }

  private putAside(): void {
    this.caller.log(
      `the journal "${this.path}" is damaged, and begun anew: what is still to be given back is forgotten`,
    );
    this.connection?.close();
    this.connection = undefined;
    for (const suffix of ['', '-wal', '-shm']) {
      try {
        renameSync(`${this.path}${suffix}`, `${this.path}${suffix}.damaged`);
      } catch {
        // it is not there, or another call has been faster
      }
    }
  }
}

/** @throws StoreDamaged when it is not ours */
function isNew(store: Connection): boolean {
  const format = Number(store.get('PRAGMA user_version')?.['user_version']);
  const owner = Number(store.get('PRAGMA application_id')?.['application_id']);
  if (format === 0 && owner === 0) {
    return true;
  }
  if (format !== FORMAT || owner !== APPLICATION_ID) {
    throw new StoreDamaged(store.path, `its format is ${format}, not ${FORMAT}`);
  }
  return false;
}

const deletionOf = (row: SqlRow): Deletion => ({
  networkName: String(row['network']),
  id: String(row['container']),
  ifname: String(row['interface']),
  ranges: rangesOf(String(row['ranges'])),
});

function deletedOf({ at, busy, done }: SqlRow, now: number): Deleted {
  return { at: Number(at), state: done === 1 ? 'done' : Number(busy) > now ? 'under way' : 'waiting' };
}
