import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { CniError } from '../../lib/cni/errors.ts';
import { syncFolder, writeAtomically } from '../../lib/sys/atomic-file.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import { Journal } from '../../lib/sys/journal.ts';
import { EMPTY_SNAPSHOT, readSnapshot, type Snapshot, StoreDamaged } from './snapshot.ts';
import { replay, type State } from './state.ts';

/*
 * The files of a network's store, and what they promise:
 *
 *   snapshot.json     every record up to a            journal     every record after a
 *   snapshot.json.1   every record up to b, b <= a    journal.1   every record after b, up to a
 *
 * so snapshot.json.1 + journal.1 + journal is complete without snapshot.json. Records are numbered without gaps, and a
 * gap is an error: an incomplete state would give away an address that somebody uses.
 */
const SNAPSHOT = 'snapshot.json';
const PREVIOUS_SNAPSHOT = 'snapshot.json.1';
const JOURNAL = 'journal';
const PREVIOUS_JOURNAL = 'journal.1';

export const journalIn = (folder: string): string => join(folder, JOURNAL);

export interface Consulted<T> {
  readonly answer: T;
  /** what was wrong with the newest snapshot, when the answer comes from the previous one */
  readonly damage: string | undefined;
}

/**
 * Asks the stored state a question. What the question does not need is not checked, so damage may show only while it is
 * answered; then it is asked again of the previous snapshot.
 *
 * @throws CniError ioFailure when both are damaged or records are missing; what the question throws
 */
export function consult<T>(folder: string, journal: Journal, question: (state: State) => T): Consulted<T> {
  try {
    return { answer: question(replay(newestSnapshot(folder), journal.payloads)), damage: undefined };
  } catch (error) {
    if (!(error instanceof StoreDamaged)) {
      throw error;
    }
    return { answer: consultPrevious(folder, journal, question, error), damage: error.message };
  }
}

/**
 * Writes a snapshot of everything and starts a new journal. A crash after any step leaves what `consult` reads.
 *
 * @throws CniError ioFailure; the store is as good as before
 */
export function compact(folder: string): void {
  using journal = Journal.open(journalIn(folder));
  const { answer: text, damage } = consult(folder, journal, (state) => state.format());
  const [snapshot, previous] = [join(folder, SNAPSHOT), join(folder, PREVIOUS_SNAPSHOT)];
  const temporary = `${snapshot}.tmp`;
  if (damage === undefined) {
    writeAtomically(snapshot, text, { temporary, previous });
  } else {
    // The damaged one must not replace the sound one, and journal.1 is about to lose what reaches back to that.
    writeAtomically(snapshot, text, { temporary });
    writeAtomically(previous, text, { temporary });
  }
  retire(journal);
  syncFolder(folder);
}

/** Only after the snapshot's name is durable, else a power cut could leave the old snapshot with a new journal. */
function retire(journal: Journal): void {
  try {
    renameSync(journal.path, join(journal.path, '..', PREVIOUS_JOURNAL));
  } catch (error) {
    if (!isMissing(error)) {
      throw ioError('rename', journal.path, error);
    }
  }
}

function consultPrevious<T>(folder: string, journal: Journal, question: (state: State) => T, newest: StoreDamaged): T {
  try {
    using older = Journal.open(join(folder, PREVIOUS_JOURNAL));
    const snapshot = readIfThere(join(folder, PREVIOUS_SNAPSHOT)) ?? EMPTY_SNAPSHOT;
    return question(replay(snapshot, [...older.payloads, ...journal.payloads]));
  } catch (error) {
    if (!(error instanceof StoreDamaged)) {
      throw error;
    }
    throw new CniError(
      'ioFailure',
      `cannot read the store "${folder}": ${SNAPSHOT}: ${newest.message}; ${PREVIOUS_SNAPSHOT}: ${error.message}`,
    );
  }
}

function newestSnapshot(folder: string): Snapshot {
  const snapshot = readIfThere(join(folder, SNAPSHOT));
  if (snapshot === undefined && existsSync(join(folder, PREVIOUS_SNAPSHOT))) {
    throw new StoreDamaged('it is missing');
  }
  return snapshot ?? EMPTY_SNAPSHOT;
}

function readIfThere(path: string): Snapshot | undefined {
  if (!existsSync(path)) {
    return undefined;
  }
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw ioError('read', path, error);
  }
  return readSnapshot(bytes);
}
