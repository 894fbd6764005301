import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inside } from '../../../lib/sys/inside.ts';

/**
 * The database of a data directory. It bears the name that the file "sequence" has: a database that was rebuilt becomes the
 * one that counts, with its own log and index, by the renaming of that one file.
 */
export const databaseIn = (folder: string, id: string): string => inside(folder, `whereabouts-${id}.db`);

const DATABASE = /^whereabouts-[0-9a-f]+\.db$/;

/** Every database in the folder, whichever counts. */
export function databasesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => DATABASE.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
