import { messageOf } from '../../../lib/cni/errors.ts';
import type { Loaded, Step } from '../engine.ts';
import type { Change, Pools } from '../pool.ts';
import type { Connection } from './connection.ts';
import { StoreDamaged } from './faults.ts';
import { checksumOf } from './rows.ts';
import { type Sequence, writeSequence } from './sequence.ts';
import { SqlPools } from './sql-pools.ts';

const WRITE = {
  INSERT: 'INSERT INTO store VALUES (?, ?, ?)',
  UPDATE: 'UPDATE store SET id = ?, sequence = ?, checksum = ?',
} as const;

export function writeStored(store: Connection, { id, number }: Sequence, how: keyof typeof WRITE): void {
  store.run(WRITE[how], id, number, checksumOf(id, number));
}

/**
 * The number of the last transaction in the database.
 *
 * @throws StoreDamaged
 */
export function readStored(store: Connection): Sequence {
  const row = store.get('SELECT id, sequence, checksum FROM store');
  const [id, number] = [String(row?.['id']), Number(row?.['sequence'])];
  if (row === undefined || checksumOf(id, number) !== row['checksum']) {
    throw new StoreDamaged(store.path, 'its sequence number does not match its checksum');
  }
  return { id, number };
}

interface Begun {
  readonly store: Connection;
  readonly stored: Sequence;
  readonly folder: string;
  /** what is found again is an answer */
  readonly mayAdd: boolean;
  readonly log: (line: string) => void;
}

/** It holds the lock of the database until it is committed or disposed of. */
export class Transaction implements Loaded {
  private readonly begun: Begun;
  private readonly store: Connection;
  private hasChanged = false;
  private isOpen = true;

  constructor(begun: Begun) {
    this.begun = begun;
    this.store = begun.store;
  }

  pools(networkName: string): Pools {
    return new SqlPools(this.store, networkName);
  }

  stage({ networkName }: Step, changes: readonly Change[]): void {
    new SqlPools(this.store, networkName).apply(changes);
    this.hasChanged ||= changes.length > 0;
  }

  async commit(): Promise<'done'> {
    if (!this.hasChanged) {
      if (this.begun.mayAdd) {
        this.store.syncLog(); // what is given again was perhaps never synced: its call may have been killed
      }
      return 'done';
    }
    const next = { id: this.begun.stored.id, number: this.begun.stored.number + 1 };
    writeStored(this.store, next, 'UPDATE');
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
      writeSequence(this.begun.folder, next);
    } catch (error) {
      this.begun.log(messageOf(error));
    }
  }
}
