import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../lib/cni/errors.ts';
import { makeFolder } from '../../lib/sys/atomic-file.ts';
import { Journal, type JournalCalls } from '../../lib/sys/journal.ts';
import { FileLock, type LockUser } from '../../lib/sys/lock.ts';
import type { Datastore } from './datastore.ts';
import { folderOf, type StorePlace } from './place.ts';
import { findHeld, type Plan, planCollection, planRelease, planReservations } from './plan.ts';
import { probeFolder } from './probe.ts';
import { formatRecord, type State } from './state.ts';
import { compact, consult, journalIn } from './store-folder.ts';

/**
 * Every call reads the journal, cold in most cases; a snapshot costs four syncs. 64 records is where both are small. A
 * large snapshot is not written again before the journal has a quarter of its size, so that the cost for each record
 * stays the same however large the network is.
 */
const RECORDS_BEFORE_SNAPSHOT = 64;
const BYTES_BEFORE_SNAPSHOT = 16 * 1024;
const PART_OF_SNAPSHOT = 1 / 4;

export interface StoreHost extends LockUser {
  readonly log: (line: string) => void;
}

/** Makes a plan from the state. It may be called twice, each time with a state of its own. */
type Planner<T> = (state: State) => Plan<T>;

export interface FileStore extends Datastore {
  /** Carries out a plan in one step: all of its changes are on disk when the answer is given, or none ever is. */
  change<T>(plan: Planner<T>): Promise<T>;
  /** Answers a question about the state, which may be asked twice; nothing is created, but the lock file. */
  look<T>(question: (state: State) => T): Promise<T>;
}

/**
 * The store of one network: a folder with a snapshot and a journal. One journal for all pools of the network, rather
 * than one for each, makes a call that takes addresses of several ranges one record, with one write and one sync, and
 * lets one lock guard the check that ranges do not give the same address.
 *
 * What only reads or frees creates nothing.
 */
export function openFileStore(place: StorePlace, host: StoreHost, calls?: JournalCalls): FileStore {
  const store: Store = { folder: folderOf(place), host, calls };
  const ifThere = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> =>
    existsSync(store.folder) ? work() : otherwise;
  return {
    change: (plan) => change(store, plan),
    look: (question) => look(store, question),
    reserve: (requests) => change(store, (state) => planReservations(requests, state)),
    release: (attachments) =>
      ifThere(
        () => change(store, (state) => planRelease(attachments, state)),
        attachments.map(() => []),
      ),
    find: (attachment, ranges) =>
      ifThere(
        () => look(store, (state) => findHeld(attachment, ranges, state)),
        ranges.map(() => undefined),
      ),
    collect: (network, ranges, valid) =>
      ifThere(() => change(store, (state) => planCollection(network, ranges, valid, state)), []),
    probe: async () => {
      probeFolder(store.folder);
      await ifThere(() => look(store, (state) => void state.format()), undefined);
    },
  };
}

interface Store {
  readonly folder: string;
  readonly host: StoreHost;
  readonly calls: JournalCalls | undefined;
}

async function look<T>(store: Store, question: (state: State) => T): Promise<T> {
  using _lock = await lock(store);
  using journal = Journal.open(journalIn(store.folder), store.calls);
  return consulted(store, journal, question).answer;
}

/** Nothing waits once the lock is held, so calls inside one process never keep each other waiting for it. */
async function change<T>(store: Store, plan: Planner<T>): Promise<T> {
  makeFolder(store.folder);
  using _lock = await lock(store);
  using journal = Journal.open(journalIn(store.folder), store.calls);
  const { answer, damage } = consulted(store, journal, (state) => ({ ...plan(state), state }));
  if (answer.changes.length > 0) {
    journal.append(formatRecord(answer.state.seq + 1, answer.changes));
  } else {
    journal.sync();
  }
  if (damage !== undefined || isLong(journal, answer.state.snapshotSize)) {
    compactOrLog(store);
  }
  return answer.answer;
}

const lock = ({ host, folder }: Store): Promise<FileLock> => FileLock.acquire(host, join(folder, 'lock'));

const isLong = (journal: Journal, snapshotSize: number): boolean =>
  (journal.count >= RECORDS_BEFORE_SNAPSHOT || journal.size >= BYTES_BEFORE_SNAPSHOT) &&
  journal.size >= snapshotSize * PART_OF_SNAPSHOT;

function consulted<T>(store: Store, journal: Journal, question: (state: State) => T) {
  const found = consult(store.folder, journal, question);
  if (found.damage !== undefined) {
    store.host.log(`cannot read the newest snapshot in "${store.folder}": ${found.damage}: the previous one is used`);
  }
  return found;
}

/** The answer is on disk already: a snapshot that cannot be written makes the journal longer, nothing worse. */
function compactOrLog({ folder, host }: Store): void {
  try {
    compact(folder);
  } catch (error) {
    host.log(`cannot shorten the journal: ${messageOf(error)}`);
  }
}
