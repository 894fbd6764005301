/** The files of an embedded store, as a test keeps them, puts them back and spoils them. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Datastore } from '../datastore.ts';
import { rangesOf, reserved, storeHost, storeIn } from './fixtures.ts';

export const FOUR = rangesOf('10.0.0.0/24');
export const BOTH = rangesOf('10.0.0.0/24', 'fd00::/64');
export const [DATABASE, LOG, SEQUENCE] = ['database', 'database-wal', 'sequence'] as const;
export const ALL = [DATABASE, LOG, SEQUENCE];

export interface Files {
  readonly id: string;
  readonly contents: Readonly<Record<string, Buffer | undefined>>;
}

const idIn = (folder: string): string => readFileSync(join(folder, SEQUENCE), 'utf8').split(' ')[0] ?? '';

/** `database`, `database-wal` and `sequence` as they are called in the folder. */
export const fileIn = (folder: string, name: string, id = idIn(folder)): string =>
  join(folder, name.replace(/^database/, `whereabouts-${id}.db`));

export const filesIn = (folder: string): Files => {
  const contents = ALL.filter((name) => existsSync(fileIn(folder, name))).map((name) => [
    name,
    readFileSync(fileIn(folder, name)),
  ]);
  return { id: idIn(folder), contents: Object.fromEntries(contents) };
};

export function restore(folder: string, files: Files | undefined, changes: Files['contents'] = {}): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries({ ...files?.contents, ...changes })) {
    if (bytes !== undefined) {
      writeFileSync(fileIn(folder, name, files?.id), bytes);
    }
  }
}

/** What the next process finds. */
export async function next<T>(folder: string, work: (store: Datastore) => Promise<T>): Promise<T> {
  using host = storeHost();
  return await work(storeIn(folder, host));
}

export const add = (folder: string, who: string, ranges = BOTH) =>
  next(folder, (store) => reserved(store, who, ranges));

export const sequenceOf = (folder: string): number =>
  Number(readFileSync(join(folder, SEQUENCE), 'utf8').split(' ')[1]);

/** Several calls of one process, which is killed then: nothing is closed. The files after each. */
export async function history(folder: string, calls: number): Promise<readonly Files[]> {
  const store = storeIn(folder);
  const all: Files[] = [];
  for (let i = 0; i < calls; i++) {
    await reserved(store, `a/p${i} net1 id${i}`, BOTH);
    all.push(filesIn(folder));
  }
  return all;
}
