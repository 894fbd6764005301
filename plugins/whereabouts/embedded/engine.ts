import { closeSync, existsSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { makeFolder, syncFolder } from '../../../lib/sys/atomic-file.ts';
import { isBusy, type OpenDatabase } from '../../../lib/sys/database.ts';
import { ioError } from '../../../lib/sys/io-error.ts';
import type { Engine, Loaded, Step } from '../engine.ts';
import { LoadedPools } from '../loaded-pools.ts';
import type { Change, Pools } from '../pool.ts';
import { probeFolder } from '../probe.ts';
import { Connection } from './connection.ts';
import { NoRoom, StoreDamaged } from './faults.ts';
import { giveSpace, isKept, keepSpace } from './kept-space.ts';
import { checksumOf } from './rows.ts';
import { makeSequence, readSequence, type Sequence, sequenceIn, writeSequence } from './sequence.ts';
import { SqlPools } from './sql-pools.ts';

export const databaseIn = (folder: string): string => join(folder, 'whereabouts.db');

const LONGEST_WAIT_MS = 10_000;
const LONGEST_PAUSE_MS = 16;

export interface EmbeddedHost {
  readonly openDatabase: OpenDatabase;
  sleep(ms: number): Promise<void>;
  log(line: string): void;
}

/**
 * The store of a folder: an SQLite database. A transaction holds the database's lock from `load` to `commit`, so there is
 * never a conflict. What only looks or releases makes no store.
 */
export class EmbeddedEngine implements Engine, Disposable {
  readonly folder: string;
  private readonly host: EmbeddedHost;
  private connection: Connection | undefined;

  constructor(folder: string, host: EmbeddedHost) {
    this.folder = folder;
    this.host = host;
  }

  async load(steps: readonly Step[]): Promise<Loaded> {
    const isLook = steps.every((step) => step.isLook);
    const mayAdd = steps.some((step) => !step.isLook && !step.isRelease);
    if (!this.isThere()) {
      if (!mayAdd) {
        return nothing();
      }
      this.create();
    }
    if (mayAdd) {
      this.keepSpace();
    }
    return this.begin(isLook, mayAdd);
  }

  /** Is there a store? Part of one is damage, and found as such. */
  isThere(): boolean {
    const sequence = sequenceIn(this.folder);
    return existsSync(databaseIn(this.folder)) || (existsSync(sequence) && (readSequence(sequence)?.number ?? 0) > 0);
  }

  /** @throws CniError when nothing could be written now */
  probe(): void {
    probeFolder(this.folder);
    if (this.isThere()) {
      this.keepSpace();
    }
  }

  /** Makes room for a release where there is none. */
  makeRoom(): boolean {
    return giveSpace(this.folder);
  }

  /** Takes it back, as far as that goes. */
  restoreRoom(): void {
    try {
      keepSpace(this.folder);
    } catch (error) {
      this.host.log(`${messageOf(error)}: no address can be given before there is room for it`);
    }
  }

  [Symbol.dispose](): void {
    this.connection?.close();
    this.connection = undefined;
  }

  /** The file whose number the others are compared with comes first: with it alone, nothing is held. */
  private create(): void {
    makeFolder(this.folder);
    const sequence = sequenceIn(this.folder);
    if (!existsSync(sequence)) {
      makeSequence(sequence);
    }
    try {
      closeSync(openSync(databaseIn(this.folder), 'a', 0o600)); // its log and index get the same mode
    } catch (error) {
      throw ioError('create', databaseIn(this.folder), error);
    }
    syncFolder(this.folder);
  }

  private keepSpace(): void {
    if (!isKept(this.folder)) {
      keepSpace(this.folder);
    }
  }

  /** Others hold the lock for a moment: who waits asks again, after pauses of random length. */
  private async begin(isLook: boolean, mayAdd: boolean): Promise<Loaded> {
    const deadline = performance.now() + LONGEST_WAIT_MS;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        return await this.tryBegin(isLook, mayAdd);
      } catch (error) {
        if (!isBusy(error)) {
          throw error;
        }
        if (performance.now() >= deadline) {
          const path = databaseIn(this.folder);
          throw new CniError('tryAgainLater', `cannot lock "${path}": others have held it for ${LONGEST_WAIT_MS} ms`);
        }
      }
      await this.host.sleep(Math.ceil(Math.random() * pauseMs));
    }
  }

  private async tryBegin(isLook: boolean, mayAdd: boolean): Promise<Loaded> {
    const promised = readSequence(sequenceIn(this.folder)); // before the lock: what others answer meanwhile is later
    const store = await this.connected();
    try {
      if (!isLook) {
        store.shortenLog(promised?.number ?? 0);
      }
      store.exec(isLook ? 'BEGIN' : 'BEGIN IMMEDIATE');
      if (store.format() === 0) {
        if (promised === undefined || promised.number > 0) {
          throw new StoreDamaged(store.path, 'it is empty');
        }
        if (isLook) {
          store.rollback();
          return nothing();
        }
        store.makeTables();
        writeStored(store, promised, 'INSERT INTO store VALUES (?, ?, ?)');
      }
      const stored = storedSequence(store);
      refuseOlder(store.path, stored, promised);
      store.rememberLog();
      return new Transaction(store, stored, this.host, mayAdd);
    } catch (error) {
      store.rollback();
      throw error;
    }
  }

  private async connected(): Promise<Connection> {
    if (this.connection?.isStale) {
      // It is not closed: SQLite would delete the log of the file that is there now.
      this.connection = undefined;
    }
    if (this.connection === undefined) {
      const connection = await Connection.open(databaseIn(this.folder), this.host.openDatabase);
      try {
        connection.useLog();
      } catch (error) {
        connection.close();
        throw error;
      }
      this.connection = connection;
    }
    return this.connection;
  }
}

function writeStored(store: Connection, { id, number }: Sequence, sql: string): void {
  store.run(sql, id, number, checksumOf(id, number));
}

function storedSequence(store: Connection): Sequence {
  const row = store.get('SELECT id, sequence, checksum FROM store');
  const [id, number] = [String(row?.['id']), Number(row?.['sequence'])];
  if (row === undefined || checksumOf(id, number) !== row['checksum']) {
    throw new StoreDamaged(store.path, 'its sequence number does not match its checksum');
  }
  return { id, number };
}

/** @throws StoreDamaged */
function refuseOlder(path: string, stored: Sequence, promised: Sequence | undefined): void {
  if (promised === undefined) {
    throw new StoreDamaged(path, 'the file "sequence" beside it is missing');
  }
  if (promised.id !== stored.id) {
    throw new StoreDamaged(path, 'the file "sequence" beside it belongs to another store');
  }
  if (stored.number < promised.number) {
    throw new StoreDamaged(path, `it has lost the transactions from ${stored.number + 1} to ${promised.number}`);
  }
}

/** A store that is not there yet. */
function nothing(): Loaded {
  const pools = new LoadedPools([]);
  return {
    pools: () => pools,
    stage: () => {},
    commit: async () => 'done',
    [Symbol.asyncDispose]: async () => {},
  };
}

class Transaction implements Loaded {
  private readonly store: Connection;
  private readonly stored: Sequence;
  private readonly host: EmbeddedHost;
  private readonly mayAdd: boolean;
  private hasChanged = false;
  private isOpen = true;

  constructor(store: Connection, stored: Sequence, host: EmbeddedHost, mayAdd: boolean) {
    this.store = store;
    this.stored = stored;
    this.host = host;
    this.mayAdd = mayAdd;
  }

  pools(networkName: string): Pools {
    return new SqlPools(this.store, networkName);
  }

  stage(networkName: string, changes: readonly Change[]): void {
    new SqlPools(this.store, networkName).apply(changes);
    this.hasChanged ||= changes.length > 0;
  }

  async commit(): Promise<'done'> {
    if (!this.hasChanged) {
      if (this.mayAdd) {
        this.store.syncLog(); // what is given again was perhaps never synced: its call may have been killed
      }
      return 'done';
    }
    const next = { id: this.stored.id, number: this.stored.number + 1 };
    writeStored(this.store, next, 'UPDATE store SET id = ?, sequence = ?, checksum = ?');
    this.store.exec('COMMIT');
    this.isOpen = false;
    this.promise(next);
    return 'done';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isOpen) {
      this.store.rollback();
    }
  }

  /** It is on the disk already: what cannot be promised only makes a loss of it harder to find. */
  private promise(next: Sequence): void {
    try {
      writeSequence(sequenceIn(dirname(this.store.path)), next);
    } catch (error) {
      this.host.log(messageOf(error));
    }
  }
}

export const isNoRoom = (error: unknown): boolean => error instanceof NoRoom;
export const isDamage = (error: unknown): boolean => error instanceof StoreDamaged;
