/** Reads the database of whereabouts: what is really reserved, whoever asks. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { findDatabase } from './store.ts';

export interface Reservation {
  /** `network_name` */
  readonly network: string;
  readonly range: string;
  readonly address: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** Of every network in the folder, as its README describes the tables; of a copy, so that nothing is written back. */
export function reservationsIn(dataDir: string): readonly Reservation[] {
  const source = existsSync(join(dataDir, 'sequence')) ? findDatabase(dataDir) : undefined;
  if (source === undefined) {
    return [];
  }
  const folder = mkdtempSync(join(tmpdir(), 'braid-reservations-'));
  try {
    const copy = join(folder, basename(source));
    for (const ending of ['', '-wal'].filter((one) => existsSync(`${source}${one}`))) {
      copyFileSync(`${source}${ending}`, `${copy}${ending}`);
    }
    const database = new DatabaseSync(copy);
    try {
      const sql = `SELECT network, range, address, container AS containerId, interface AS ifName
        FROM reservation ORDER BY network, range, key`;
      const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;
      return isEmpty ? [] : (database.prepare(sql).all() as unknown as readonly Reservation[]);
    } finally {
      database.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
