import { existsSync, renameSync, rmSync } from 'node:fs';
import { CniError } from '../../../lib/cni/errors.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { makeFolder, syncFolder } from '../../../lib/sys/atomic-file.ts';
import { isBusy, type SqlRow } from '../../../lib/sys/database.ts';
import { ioError } from '../../../lib/sys/io-error.ts';
import type { Held } from '../pool.ts';
import { Connection } from './connection.ts';
import { databaseIn, databasesIn } from './place.ts';
import { heldOf } from './rows.ts';
import { newSequence, replaceSequence, type Sequence } from './sequence.ts';
import { SqlPools } from './sql-pools.ts';
import { writeStored } from './transaction.ts';

/** A reservation in one of the networks of a store. */
export interface NetworkHeld {
  readonly networkName: string;
  readonly held: Held;
}

export interface Salvage {
  readonly sound: readonly NetworkHeld[];
  /** rows that were read and are not what was written */
  readonly unsound: number;
}

/** From both ends and by an index: a page that cannot be read ends a scan. */
const SCANS = [
  'SELECT * FROM reservation ORDER BY network, key, range',
  'SELECT * FROM reservation ORDER BY network DESC, key DESC, range DESC',
  'SELECT * FROM reservation INDEXED BY by_container ORDER BY network, container, interface',
  'SELECT * FROM reservation INDEXED BY by_container ORDER BY network DESC, container DESC, interface DESC',
];

const LONGEST_WAIT_MS = 10_000;
const PAUSE_MS = 10;

/**
 * Reads what can be read of a damaged store, and replaces it by one that holds what `keep` chooses. The file "sequence"
 * says which database counts: until it is replaced every call is refused, and then every call finds the new one. The
 * damaged files stay, with the ending `.damaged`.
 *
 * @throws CniError tryAgainLater, ioFailure; then the damaged store is still the one that counts
 */
export async function rebuild(
  folder: string,
  scope: Scope,
  keep: (salvage: Salvage) => readonly NetworkHeld[],
): Promise<void> {
  makeFolder(folder);
  const paths = databasesIn(folder);
  const old: Connection[] = [];
  for (const path of paths) {
    old.push(...(await lockIfPossible(path, scope)));
  }
  try {
    const sequence = newSequence();
    await build(databaseIn(folder, sequence.id), sequence, keep(salvage(old)), scope);
    syncFolder(folder);
    replaceSequence(folder, sequence);
    paths.forEach(setAside);
  } finally {
    for (const store of old) {
      store.rollback(); // and no closing, which would write to what is set aside
    }
  }
}

/** With its lock, so that nobody writes what would be lost. Where damage keeps us from having it, it keeps all others too. */
async function lockIfPossible(path: string, scope: Scope): Promise<readonly Connection[]> {
  for (const deadline = scope.now() + LONGEST_WAIT_MS; ; await scope.sleep(PAUSE_MS)) {
    try {
      const store = await Connection.open(path, scope.node.openDatabase);
      store.exec('BEGIN IMMEDIATE');
      return [store];
    } catch (error) {
      if (!isBusy(error)) {
        return [];
      }
      if (scope.now() >= deadline) {
        throw new CniError('tryAgainLater', `cannot lock "${path}": others have held it for ${LONGEST_WAIT_MS} ms`);
      }
    }
  }
}

function salvage(stores: readonly Connection[]): Salvage {
  const sound = new Map<string, NetworkHeld>();
  const unsound = new Set<string>();
  for (const row of stores.flatMap((store) => SCANS.flatMap((sql) => readable(store, sql)))) {
    const held = heldOf(row);
    const text = Object.values(row).join(' ');
    if (held === undefined) {
      unsound.add(text);
    } else {
      sound.set(text, { networkName: String(row['network']), held });
    }
  }
  return { sound: [...sound.values()], unsound: unsound.size };
}

function readable(store: Connection, sql: string): readonly SqlRow[] {
  const rows: SqlRow[] = [];
  try {
    for (const row of store.each(sql)) {
      rows.push(row);
    }
  } catch {
    // what comes before the damage is what there is
  }
  return rows;
}

async function build(path: string, sequence: Sequence, all: readonly NetworkHeld[], scope: Scope): Promise<void> {
  const store = await Connection.create(path, scope.node.openDatabase);
  try {
    store.exec('BEGIN IMMEDIATE');
    store.makeTables();
    writeStored(store, { ...sequence, base: 0 }, 'INSERT');
    for (const [networkName, own] of Map.groupBy(all, (one) => one.networkName)) {
      new SqlPools(store, networkName).apply(own.map(({ held }) => ({ op: 'add', ...held })));
    }
    store.exec('COMMIT');
  } catch (error) {
    store.close();
    for (const ending of ['', '-wal', '-shm']) {
      rmSync(`${path}${ending}`, { force: true });
    }
    throw error;
  }
  store.close(); // writes the log back, durably
}

function setAside(path: string): void {
  for (const part of [path, `${path}-wal`]) {
    try {
      if (existsSync(part)) {
        renameSync(part, `${part}.damaged`);
      }
    } catch (error) {
      throw ioError('set aside', part, error);
    }
  }
  rmSync(`${path}-shm`, { force: true });
}
