import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../lib/cni/errors.ts';
import { makeFolder } from '../../lib/sys/atomic-file.ts';
import { Journal, type JournalCalls } from '../../lib/sys/journal.ts';
import { FileLock, type LockHost } from '../../lib/sys/lock.ts';
import type { Engine, Loaded } from './engine.ts';
import { LoadedPools } from './loaded-pools.ts';
import type { Change, Pools } from './pool.ts';
import { formatRecord, heldIn, recordOf, type State } from './state.ts';
import { compact, consult, journalIn } from './store-folder.ts';

/**
 * Every call reads the journal, cold in most cases; a snapshot costs four syncs. 64 records is where both are small. A
 * large snapshot is not written again before the journal has a quarter of its size, so that the cost for each record
 * stays the same however large the network is.
 */
const RECORDS_BEFORE_SNAPSHOT = 64;
const BYTES_BEFORE_SNAPSHOT = 16 * 1024;
const PART_OF_SNAPSHOT = 1 / 4;

export interface StoreHost extends LockHost {
  readonly log: (line: string) => void;
}

/** The store of one network: a folder with a snapshot and a journal. What only reads or frees creates nothing. */
export function fileEngine(folder: string, host: StoreHost, calls?: JournalCalls): Engine {
  return {
    load: async (steps) => {
      if (!existsSync(folder) && steps.every(({ isLook, isRelease }) => isLook || isRelease)) {
        return new LoadedFolder(undefined, new LoadedPools([]));
      }
      makeFolder(folder);
      const lock = await FileLock.acquire(host, join(folder, 'lock'));
      try {
        return loadFolder({ folder, host, lock, calls });
      } catch (error) {
        lock[Symbol.dispose]();
        throw error;
      }
    },
  };
}

interface Opened {
  readonly folder: string;
  readonly host: StoreHost;
  readonly lock: FileLock;
  readonly calls: JournalCalls | undefined;
}

function loadFolder(opened: Opened): Loaded {
  const { folder, host } = opened;
  const journal = Journal.open(journalIn(folder), opened.calls);
  try {
    const { answer, damage } = consult(folder, journal, (state) => ({
      state,
      held: state.ranges.flatMap((range) => heldIn(state.pool(range))),
    }));
    if (damage !== undefined) {
      host.log(`cannot read the newest snapshot in "${folder}": ${damage}: the previous one is used`);
    }
    const store = { ...opened, journal, state: answer.state, isDamaged: damage !== undefined };
    return new LoadedFolder(store, new LoadedPools(answer.held));
  } catch (error) {
    journal[Symbol.dispose]();
    throw error;
  }
}

interface Store extends Opened {
  readonly journal: Journal;
  readonly state: State;
  readonly isDamaged: boolean;
}

class LoadedFolder implements Loaded {
  private readonly store: Store | undefined;
  private readonly loaded: LoadedPools;
  private readonly changes: Change[] = [];

  constructor(store: Store | undefined, loaded: LoadedPools) {
    this.store = store;
    this.loaded = loaded;
  }

  pools(): Pools {
    return this.loaded;
  }

  stage(_networkName: string, changes: readonly Change[]): void {
    this.loaded.apply(changes);
    this.changes.push(...changes);
  }

  async commit(): Promise<'done'> {
    if (this.store === undefined) {
      return 'done';
    }
    const { journal, state, isDamaged } = this.store;
    if (this.changes.length > 0) {
      journal.append(formatRecord(state.seq + 1, this.changes.map(recordOf)));
    } else {
      journal.sync();
    }
    if (isDamaged || isLong(journal, state.snapshotSize)) {
      compactOrLog(this.store);
    }
    return 'done';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store?.journal[Symbol.dispose]();
    this.store?.lock[Symbol.dispose]();
  }
}

const isLong = (journal: Journal, snapshotSize: number): boolean =>
  (journal.count >= RECORDS_BEFORE_SNAPSHOT || journal.size >= BYTES_BEFORE_SNAPSHOT) &&
  journal.size >= snapshotSize * PART_OF_SNAPSHOT;

/** The answer is on disk already: a snapshot that cannot be written makes the journal longer, nothing worse. */
function compactOrLog({ folder, host }: Store): void {
  try {
    compact(folder);
  } catch (error) {
    host.log(`cannot shorten the journal: ${messageOf(error)}`);
  }
}
