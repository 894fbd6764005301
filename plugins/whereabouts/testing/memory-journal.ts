import { attachmentKey, type Deletion, type Journal, type JournalRow } from '../cluster/journal.ts';

/** A journal that lives as long as the test. */
export class MemoryJournal implements Journal {
  rows: readonly JournalRow[] = [];
  readonly buried = new Map<string, number>();
  writes = 0;

  async rowsOf(networkName: string, attachments: Parameters<Journal['rowsOf']>[1]): Promise<readonly JournalRow[]> {
    const keys = new Set(attachments.map(attachmentKey));
    return this.rows.filter((row) => row.networkName === networkName && keys.has(attachmentKey(row)));
  }

  async all(networkName: string): Promise<readonly JournalRow[]> {
    return this.rows.filter((row) => row.networkName === networkName);
  }

  async record({ remove, write }: Parameters<Journal['record']>[0]): Promise<void> {
    this.writes++;
    const gone = new Set([...remove, ...write].map(keyOf));
    this.rows = [...this.rows.filter((row) => !gone.has(keyOf(row))), ...write];
  }

  async deletions(networkName: string, attachments: Parameters<Journal['deletions']>[1]) {
    return new Map(
      attachments.flatMap((one) => {
        const at = this.buried.get(`${networkName} ${attachmentKey(one)}`);
        return at === undefined ? [] : [[attachmentKey(one), { at, state: 'waiting' as const }] as const];
      }),
    );
  }

  async bury(deletions: readonly Deletion[]): Promise<void> {
    for (const one of deletions) {
      this.buried.set(`${one.networkName} ${attachmentKey(one)}`, this.buried.size + 1);
    }
  }
}

const keyOf = ({ networkName, range, key, id, ifname }: JournalRow): string =>
  JSON.stringify([networkName, range, key, id, ifname]);
