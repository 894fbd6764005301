import { messageOf } from '../../../lib/cni/errors.ts';
import type { Loaded, Step } from '../engine.ts';
import type { Change } from '../pool.ts';
import type { Connection } from './connection.ts';
import { NoRoom, roomIn, StoreDamaged } from './faults.ts';
import { checksumOf } from './rows.ts';
import { type Sequence, writeSequence } from './sequence.ts';
import { SqlPools } from './sql-pools.ts';

/**
 * A release may have to write the log back where nothing but the kept space is left: so the log never holds more than half
 * of that which the database file has no blocks for.
 */
const MOST_GROWTH = 128 * 1024;
/** The log takes it first, with pages that are changed beside it. */
const ROOM_FOR_GROWTH = 3;

/** The number of the last transaction in the database. */
export interface Stored extends Sequence {
  /** of a transaction that the database file has by itself, whatever becomes of its log */
  readonly base: number;
}

const WRITE = {
  INSERT: 'INSERT INTO store VALUES (?, ?, ?, ?)',
  UPDATE: 'UPDATE store SET id = ?, sequence = ?, base = ?, checksum = ?',
} as const;

export function writeStored(store: Connection, { id, number, base }: Stored, how: keyof typeof WRITE): void {
  store.run(WRITE[how], id, number, base, checksumOf(id, number, base));
}

/**
 * @throws StoreDamaged also when database file and log are not of the same time: SQLite takes any log for that of any
 * database, and would show old pages between new ones
 */
export function readStored(store: Connection): Stored {
  const row = store.get('SELECT id, sequence, base, checksum FROM store');
  const [id, number, base] = [String(row?.['id']), Number(row?.['sequence']), Number(row?.['base'])];
  if (row === undefined || checksumOf(id, number, base) !== row['checksum']) {
    throw new StoreDamaged(store.path, 'its sequence number does not match its checksum');
  }
  const inFile = store.numberInFile();
  if (inFile < base || inFile > number) {
    throw new StoreDamaged(store.path, 'it and its log are not of the same time');
  }
  return { id, number, base };
}

interface Begun {
  readonly store: Connection;
  readonly stored: Stored;
  readonly folder: string;
  /** what is found again is an answer */
  readonly mayAdd: boolean;
  readonly log: (line: string) => void;
}

/** It holds the lock of the database until it is committed or disposed of. */
export class Transaction implements Loaded {
  private readonly begun: Begun;
  private readonly store: Connection;
  private readonly steps: Step[] = [];
  private readonly networks = new Map<string, SqlPools>();
  private hasChanged = false;
  private isOpen = true;

  constructor(begun: Begun) {
    this.begun = begun;
    this.store = begun.store;
  }

  pools(networkName: string): SqlPools {
    const pools = this.networks.get(networkName) ?? new SqlPools(this.store, networkName);
    this.networks.set(networkName, pools);
    return pools;
  }

  stage(step: Step, changes: readonly Change[]): void {
    this.pools(step.networkName).apply(changes);
    this.steps.push(step);
    this.hasChanged ||= changes.length > 0;
  }

  async commit(): Promise<'done'> {
    if (!this.hasChanged) {
      if (this.begun.mayAdd) {
        await this.store.syncLog(); // what is given again was perhaps never synced: its call may have been killed
      }
      return 'done';
    }
    const growth = this.begun.mayAdd ? this.store.growth() : 0;
    if (growth > MOST_GROWTH && roomIn(this.begun.folder) < ROOM_FOR_GROWTH * growth) {
      throw new NoRoom(this.store.path);
    }
    const { id, number, base } = this.begun.stored;
    this.store.findBase(number);
    const next = { id, number: number + 1, base: Math.max(base, this.store.base) };
    writeStored(this.store, next, 'UPDATE');
    this.store.exec('COMMIT');
    this.isOpen = false;
    const synced = this.store.synced();
    for (const step of this.steps) {
      step.recorded?.();
    }
    await synced;
    this.promise(next);
    if (growth > MOST_GROWTH) {
      this.store.writeBack();
    }
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
      writeSequence(this.begun.folder, next);
    } catch (error) {
      this.begun.log(messageOf(error));
    }
  }
}
