import { existsSync } from 'node:fs';
import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import type { Native } from '../../../lib/netns/native.ts';
import { makeFolder } from '../../../lib/sys/atomic-file.ts';
import { isBusy, type OpenDatabase } from '../../../lib/sys/database.ts';
import type { Disk } from '../../../lib/sys/disk.ts';
import { lockErrorOf } from '../../../lib/sys/lock.ts';
import { probeFolder } from '../../../lib/sys/probe-folder.ts';
import type { Caller, Engine, Loaded, Step } from '../engine.ts';
import { LoadedPools } from '../loaded-pools.ts';
import { Connection } from './connection.ts';
import { NoRoom, StoreDamaged, unsupported } from './faults.ts';
import { giveSpace, hasKeptSpace, keepSpace } from './kept-space.ts';
import { databaseIn, databasesIn } from './place.ts';
import { makeSequence, readSequence, type Sequence, sequenceIn } from './sequence.ts';
import { readStored, type Stored, Transaction, writeStored } from './transaction.ts';

const TAKEN = 'SELECT network, range, count(*) AS count FROM reservation GROUP BY network, range';

/** Of one pool. */
interface Taken {
  readonly network: string;
  readonly range: string;
  readonly count: number;
}

/** For one that holds the lock. */
const LONGEST_WAIT_MS = 10_000;
/** For many who come to an end: a disk that is busy may take a second for each of them. */
const LONGEST_QUEUE_MS = 60_000;
const LONGEST_PAUSE_MS = 16;

/**
 * The store of a folder: an SQLite database. A transaction holds the database's lock from `load` to `commit`, so there is
 * never a conflict. What only looks or releases makes no store.
 */
export class EmbeddedEngine implements Engine, Disposable {
  readonly folder: string;
  private readonly openDatabase: OpenDatabase;
  private readonly native: () => Pick<Native, 'lock'>;
  private readonly disk: Disk;
  private connection: Connection | undefined;
  private mustShortenLog = false;

  constructor(folder: string, openDatabase: OpenDatabase, native: () => Pick<Native, 'lock'>, disk: Disk) {
    this.folder = folder;
    this.disk = disk;
    this.openDatabase = openDatabase;
    this.native = native;
  }

  async load(steps: readonly Step[]): Promise<Loaded> {
    const isLook = steps.every((step) => step.isLook);
    const mayAdd = steps.some((step) => !step.isLook && !step.isRelease);
    if (!this.isThere()) {
      return nothing(() => this.create());
    }
    const [first] = steps;
    return first === undefined ? nothing(() => undefined) : this.begin({ isLook, mayAdd, caller: first.caller });
  }

  /** How many addresses each pool has given, as far as that can be told now: what keeps it from being told, calls say. */
  taken(): readonly Taken[] {
    try {
      const rows = this.connection?.replaced === undefined ? this.connection?.all(TAKEN) : undefined;
      return (rows ?? []).map(({ network, range, count }) => ({
        network: String(network),
        range: String(range),
        count: Number(count),
      }));
    } catch {
      return [];
    }
  }

  /** Is there a store? The sequence comes first when it is made: with it alone, nothing is held. */
  isThere(): boolean {
    return existsSync(sequenceIn(this.folder)) || databasesIn(this.folder).length > 0;
  }

  /** @throws CniError when nothing could be written now */
  probe(): void {
    probeFolder(this.folder);
    if (this.isThere()) {
      this.keepSpace();
    }
  }

  /** Makes room for a release where there is none: in the log too, which begins anew. */
  makeRoom(): void {
    giveSpace(this.folder);
    this.mustShortenLog = true;
  }

  /** Takes it back, as far as that goes. */
  restoreRoom({ log }: Caller): void {
    this.mustShortenLog = false;
    try {
      keepSpace(this.folder);
    } catch (error) {
      log(`${messageOf(error)}: no address can be given before there is room for it`);
    }
  }

  [Symbol.dispose](): void {
    this.connection?.close();
    this.connection = undefined;
  }

  /** What could not be made as a whole leaves nothing but its folder. */
  private create(): void {
    makeFolder(this.folder);
    try {
      keepSpace(this.folder);
      makeSequence(this.folder);
    } catch (error) {
      giveSpace(this.folder);
      throw error;
    }
  }

  private keepSpace(): void {
    if (!hasKeptSpace(this.folder)) {
      keepSpace(this.folder);
    }
  }

  /**
   * Others hold the lock for a moment: who waits asks again, after pauses of random length, the longer as long as their
   * transactions come to an end.
   */
  private async begin(wanted: Wanted): Promise<Loaded> {
    const { caller } = wanted;
    const end = caller.now() + LONGEST_QUEUE_MS;
    let deadline = caller.now() + LONGEST_WAIT_MS;
    let last: number | undefined;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        return await this.tryBegin(wanted);
      } catch (error) {
        if (!isBusy(error) && !(error instanceof Replaced)) {
          throw error;
        }
        const number = readSequence(this.folder)?.number;
        deadline = number === last ? deadline : Math.min(end, caller.now() + LONGEST_WAIT_MS);
        last = number;
        if (caller.now() >= deadline) {
          throw this.lockFault(deadline === end ? LONGEST_QUEUE_MS : LONGEST_WAIT_MS);
        }
      }
      await caller.sleep(Math.ceil(Math.random() * pauseMs));
    }
  }

  /** To SQLite a lock that the kernel has none for is one that somebody else has. */
  private lockFault(waitedMs: number): CniError {
    const error = lockErrorOf(this.native(), sequenceIn(this.folder));
    if (error !== undefined) {
      return unsupported(this.folder, 'locks', error);
    }
    const why = `others have held it for ${waitedMs} ms`;
    return new CniError('tryAgainLater', `cannot lock the store in "${this.folder}": ${why}`);
  }

  private async tryBegin({ isLook, mayAdd, caller }: Wanted): Promise<Loaded> {
    const promised = readSequence(this.folder);
    if (promised === undefined) {
      throw new StoreDamaged(sequenceIn(this.folder), 'it is missing');
    }
    const path = databaseIn(this.folder, promised.id);
    if (promised.number > 0 && !existsSync(path)) {
      throw new StoreDamaged(path, 'it is missing');
    }
    if (isLook && !existsSync(path)) {
      return nothing(() => undefined);
    }
    if (mayAdd) {
      this.keepSpace();
    }
    const store = await this.connected(path);
    try {
      if (!isLook && (this.mustShortenLog || store.hasLongLog(promised.number))) {
        this.shortenLog(store, promised);
      }
      store.exec(isLook ? 'BEGIN' : 'BEGIN IMMEDIATE');
      if (store.replaced !== undefined) {
        throw new Replaced();
      }
      const stored = this.storedIn(store, promised, isLook);
      if (stored === undefined) {
        store.rollback();
        return nothing(() => undefined);
      }
      store.rememberLog();
      return new Transaction({ store, stored, folder: this.folder, mayAdd, log: caller.log });
    } catch (error) {
      store.rollback();
      throw error;
    }
  }

  /** What does not fit together must not be written into one file: nobody could tell afterwards. */
  private shortenLog(store: Connection, promised: Sequence): void {
    store.exec('BEGIN');
    this.storedIn(store, promised, true);
    store.rollback();
    store.shortenLog(promised.number);
  }

  /** The number of the last transaction in the database; undefined when there was none. */
  private storedIn(store: Connection, promised: Sequence, isLook: boolean): Stored | undefined {
    if (!isLook && readSequence(this.folder)?.id !== promised.id) {
      throw new Replaced(); // by a repair, while we waited for the lock
    }
    if (store.format() === 0) {
      if (promised.number > 0) {
        throw new StoreDamaged(store.path, 'it is empty');
      }
      if (isLook) {
        return undefined;
      }
      store.makeTables();
      writeStored(store, { ...promised, base: 0 }, 'INSERT');
    }
    const stored = readStored(store);
    if (promised.id !== stored.id) {
      throw new StoreDamaged(store.path, 'it is the database of another store');
    }
    if (stored.number < promised.number) {
      const lost = `${stored.number + 1} to ${promised.number}`;
      throw new StoreDamaged(store.path, `it has lost the transactions from ${lost}`);
    }
    return stored;
  }

  private async connected(path: string): Promise<Connection> {
    const replaced = this.connection?.path === path ? this.connection.replaced : undefined;
    if (replaced === 'index') {
      // Its locks are on the one that is gone, and a process cannot have a second one of the same database.
      const why = 'its index "-shm" was deleted while this process had it open: restart the process';
      throw new CniError('ioFailure', `cannot use the store "${path}": ${why}`);
    }
    if (this.connection?.path !== path || replaced !== undefined) {
      this.connection?.close();
      this.connection = undefined;
      this.connection = await Connection.create(path, this.openDatabase, this.disk);
    }
    return this.connection;
  }
}

interface Wanted {
  readonly isLook: boolean;
  readonly mayAdd: boolean;
  readonly caller: Caller;
}

/** Somebody has put another database in the place of the one that is open. */
class Replaced extends Error {
  override readonly name = 'Replaced';
}

/** A store that is not there yet. It is made when something has to be held, and everything planned again. */
function nothing(create: () => void): Loaded {
  const pools = new LoadedPools([]);
  let isNeeded = false;
  return {
    pools: () => pools,
    stage: (_, changes) => {
      isNeeded ||= changes.length > 0;
    },
    commit: async () => {
      if (!isNeeded) {
        return 'done';
      }
      create();
      return 'conflict';
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

export const isNoRoom = (error: unknown): boolean => error instanceof NoRoom;
export const isDamage = (error: unknown): boolean => error instanceof StoreDamaged;
