import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { JournalRow } from '../cluster/journal.ts';
import { JOURNAL_FILE, SqliteJournal } from '../cluster/sqlite-journal.ts';

/** What this node remembers of one cluster. */
export interface NodeJournal {
  readonly file: string;
  readonly kubeconfig: string;
  readonly dataDir: string;
  readonly rows: readonly JournalRow[];
  /** deleted attachments whose addresses are still to be given back */
  readonly waiting: number;
}

/**
 * What this node has in the pools of clusters, and what it is still to give back.
 *
 * @throws CniError when a journal cannot be read
 */
export async function readJournals(scope: Scope, dataDirs: Iterable<string>): Promise<readonly NodeJournal[]> {
  const found: NodeJournal[] = [];
  for (const dataDir of dataDirs) {
    const file = join(dataDir, JOURNAL_FILE);
    if (!existsSync(file)) {
      continue;
    }
    for (const kubeconfig of await withJournal(scope, { dataDir, kubeconfig: '' }, (journal) => journal.clusters())) {
      const known = await withJournal(scope, { dataDir, kubeconfig }, async (journal) => ({
        rows: await journal.everything(),
        waiting: await journal.waiting(),
      }));
      found.push({ file, kubeconfig, dataDir, ...known });
    }
  }
  return found;
}

/**
 * Forgets what is in the pools no more.
 *
 * @throws CniError
 */
export const forget = (
  scope: Scope,
  { dataDir, kubeconfig }: Pick<NodeJournal, 'dataDir' | 'kubeconfig'>,
  rows: readonly JournalRow[],
): Promise<void> =>
  withJournal(scope, { dataDir, kubeconfig }, (journal) => journal.record({ remove: rows, write: [] }));

async function withJournal<T>(
  scope: Scope,
  place: { readonly dataDir: string; readonly kubeconfig: string },
  work: (journal: SqliteJournal) => Promise<T>,
): Promise<T> {
  using journal = new SqliteJournal(place, scope.node.openDatabase, scope);
  return await work(journal);
}
