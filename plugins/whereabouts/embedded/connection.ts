import { closeSync, fdatasyncSync, openSync, statSync } from 'node:fs';
import { CniError } from '../../../lib/cni/errors.ts';
import {
  type Database,
  isBusy,
  type OpenDatabase,
  type SqlRow,
  type SqlValue,
  type Statement,
} from '../../../lib/sys/database.ts';
import { BLOCKING_DISK, type Disk } from '../../../lib/sys/disk.ts';
import { ioError } from '../../../lib/sys/io-error.ts';
import { faultOf, NoRoom, StoreDamaged } from './faults.ts';
import { PAGE_BYTES, storedInFile } from './in-file.ts';
import { APPLICATION_ID, FORMAT, SCHEMA } from './schema.ts';

/** A process of one call reads the log, cold in most cases; writing it back costs two more syncs. */
const TRANSACTIONS_OF_LOG = 16;
const BYTES_OF_LOG = 512 * 1024;
/** A process that serves many calls knows the log, and all of them wait while it is written back. */
const BYTES_OF_SHARED_LOG = 4 * 1024 * 1024;

/**
 * An open store. Its statements are prepared at first use; its errors are those of the store, but for "busy", with which
 * the caller begins anew.
 */
export class Connection {
  readonly path: string;
  /** Number of a transaction that the database file is known to have, on the disk, without its log. */
  base = 0;
  private readonly database: Database;
  /**
   * The database file beside SQLite. It is closed after SQLite has done so: closing any descriptor of a file takes from the
   * process all locks of that file.
   */
  private readonly fd: number | undefined;
  /** which files they were when they were opened */
  private readonly inode: number | undefined;
  private log: number | undefined;
  private index: number | undefined;
  private readonly statements = new Map<string, Statement>();
  private readonly disk: Disk;

  private constructor(path: string, database: Database, disk: Disk, fd?: number) {
    this.path = path;
    this.database = database;
    this.disk = disk;
    this.fd = fd;
    this.inode = inodeOf(path);
  }

  /** @throws as the methods do */
  static open(path: string, openDatabase: OpenDatabase): Promise<Connection> {
    return Connection.openWith(undefined, path, openDatabase, BLOCKING_DISK);
  }

  private static async openWith(
    fd: number | undefined,
    path: string,
    openDatabase: OpenDatabase,
    disk: Disk,
  ): Promise<Connection> {
    let database: Database;
    try {
      database = await openDatabase(path);
    } catch (error) {
      if (fd !== undefined) {
        closeSync(fd);
      }
      throw faultOf(error, path);
    }
    const connection = new Connection(path, database, disk, fd);
    try {
      connection.exec(
        `PRAGMA cell_size_check = ON; PRAGMA synchronous = ${connection.syncsItself ? 'FULL' : 'NORMAL'};` +
          'PRAGMA wal_autocheckpoint = 0;' +
          `PRAGMA journal_size_limit = ${connection.mostBytesOfLog};`,
      );
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * The same for a database that may be new, of whose file more is known.
   *
   * @param disk what syncs its log
   * @throws as the methods do, and CniError ioFailure
   */
  static async create(path: string, openDatabase: OpenDatabase, disk = BLOCKING_DISK): Promise<Connection> {
    const connection = await Connection.openWith(openOrMake(path), path, openDatabase, disk);
    try {
      connection.useLog();
      connection.rememberLog();
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** SQLite waits for the disk within a commit; where others would wait too, the log is synced after it, beside them. */
  private get syncsItself(): boolean {
    return this.disk === BLOCKING_DISK;
  }

  private get mostBytesOfLog(): number {
    return this.syncsItself ? BYTES_OF_LOG : BYTES_OF_SHARED_LOG;
  }

  /** Which of its files is not the one that it opened any more? */
  get replaced(): 'database' | 'log' | 'index' | undefined {
    if (inodeOf(this.path) !== this.inode) {
      return 'database';
    }
    if (this.index !== undefined && inodeOf(`${this.path}-shm`) !== this.index) {
      return 'index';
    }
    return this.log !== undefined && inodeOf(`${this.path}-wal`) !== this.log ? 'log' : undefined;
  }

  /** To be called within a transaction: the log and its index are there by then. */
  rememberLog(): void {
    this.log ??= inodeOf(`${this.path}-wal`);
    this.index ??= inodeOf(`${this.path}-shm`);
  }

  /** Number of the last transaction that the database file has by itself. */
  numberInFile(): number {
    return this.fd === undefined ? 0 : (storedInFile(this.fd)?.number ?? 0);
  }

  /**
   * Does the database file have all of the log? Then the next transaction may begin the log anew, and must say so.
   *
   * @param sequence number of the last transaction
   * @throws CniError ioFailure
   */
  findBase(sequence: number): void {
    if (this.fd === undefined || this.base >= sequence || this.numberInFile() < sequence) {
      return;
    }
    try {
      fdatasyncSync(this.fd); // somebody may be writing it back just now
    } catch (error) {
      throw ioError('sync', this.path, error);
    }
    this.base = sequence;
  }

  /** Bytes that the database file will grow by when the log is written back. To be called within a transaction. */
  growth(): number {
    return Number(this.get('PRAGMA page_count')?.['page_count']) * PAGE_BYTES - sizeOf(this.path);
  }

  exec(sql: string): void {
    this.attempt(() => this.database.exec(sql));
  }

  get(sql: string, ...values: SqlValue[]): SqlRow | undefined {
    return this.attempt(() => this.statement(sql).get(...values));
  }

  all(sql: string, ...values: SqlValue[]): readonly SqlRow[] {
    return this.attempt(() => this.statement(sql).all(...values));
  }

  /** Row by row, so that those before a damaged page can be had. */
  *each(sql: string): Generator<SqlRow> {
    yield* this.statement(sql).iterate();
  }

  run(sql: string, ...values: SqlValue[]): void {
    this.attempt(() => void this.statement(sql).run(...values));
  }

  /** Ends a transaction that is under way, if any. */
  rollback(): void {
    try {
      this.database.exec('ROLLBACK');
    } catch {
      // SQLite has done so itself, or there is none
    }
  }

  /**
   * Turns on the log, which is remembered in the file.
   *
   * @throws CniError ioFailure where the file system does not let it
   */
  private useLog(): void {
    const mode = this.get('PRAGMA journal_mode = WAL');
    if (mode?.['journal_mode'] !== 'wal') {
      throw new CniError(
        'ioFailure',
        `cannot use the store "${this.path}": its file system does not support shared memory mappings: ` +
          '"data_dir" must be on a local disk',
      );
    }
  }

  /**
   * Is it time to write the log back?
   *
   * @param sequence number of the last transaction
   */
  hasLongLog(sequence: number): boolean {
    const size = sizeOf(`${this.path}-wal`);
    const isManyCalls = this.syncsItself && size > 0 && sequence % TRANSACTIONS_OF_LOG === 0;
    return size > this.mostBytesOfLog || isManyCalls;
  }

  /**
   * Writes back what is in the log, so that the next transaction begins the log anew, in the space that it has. It must be
   * the next of this very connection: that the log was written back is not in any file, so SQLite's own way, right after a
   * transaction, would never end for processes of one transaction each.
   *
   * @param sequence number of the last transaction
   */
  shortenLog(sequence: number): void {
    if (this.get('PRAGMA wal_checkpoint(RESTART)')?.['busy'] === 0) {
      this.base = sequence;
    }
  }

  /** Writes back what is in the log, as far as that goes. */
  writeBack(): void {
    try {
      this.get('PRAGMA wal_checkpoint(PASSIVE)');
    } catch {
      // what is in the log is as good
    }
  }

  /**
   * The version of the schema.
   *
   * @returns 0 for an empty database
   * @throws CniError ioFailure when another program made it, or a newer one of ours
   */
  format(): number {
    const format = Number(this.get('PRAGMA user_version')?.['user_version']);
    const owner = Number(this.get('PRAGMA application_id')?.['application_id']);
    if (format === 0 && owner === 0) {
      return 0;
    }
    if (owner !== APPLICATION_ID) {
      throw new StoreDamaged(this.path, 'it is a database of another program');
    }
    if (format !== FORMAT) {
      const why = `it is of format ${format}, which a newer braid writes; this one knows format ${FORMAT}`;
      throw new CniError('ioFailure', `cannot use the store "${this.path}": ${why}`);
    }
    return format;
  }

  makeTables(): void {
    this.exec(SCHEMA);
  }

  /**
   * Waits until the transaction that was just committed is on the disk.
   *
   * @throws CniError ioFailure; others see the transaction all the same
   */
  async synced(): Promise<void> {
    if (!this.syncsItself) {
      await this.syncLog();
    }
  }

  /**
   * Makes durable what a call may have left that died between writing and syncing: others see it already.
   *
   * @throws CniError ioFailure
   */
  async syncLog(): Promise<void> {
    const log = `${this.path}-wal`;
    try {
      const fd = openSync(log, 'r');
      try {
        await this.disk.syncData(fd);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      // some file systems find room for what was written only now
      throw (error as NodeJS.ErrnoException).code === 'ENOSPC'
        ? new NoRoom(this.path, error)
        : ioError('sync', log, error);
    }
  }

  /** Not where other files have its names now: SQLite would write back the log that it had, and delete the one there is. */
  close(): void {
    if (this.replaced !== undefined) {
      return;
    }
    this.statements.clear();
    try {
      this.database.close();
    } catch {
      // nothing of it is needed any more
    }
    if (this.fd !== undefined) {
      closeSync(this.fd);
    }
  }

  private statement(sql: string): Statement {
    const known = this.statements.get(sql) ?? this.database.prepare(sql);
    this.statements.set(sql, known);
    return known;
  }

  private attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw isBusy(error) ? error : faultOf(error, this.path);
    }
  }
}

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino;

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** @throws CniError ioFailure */
function openOrMake(path: string): number {
  try {
    return openSync(path, 'a+', 0o600); // its log and index get the same mode
  } catch (error) {
    throw ioError('create', path, error);
  }
}
