import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../../lib/sys/database.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { CALLER } from '../testing/steps.ts';
import type { JournalRow } from './journal.ts';
import { SqliteJournal } from './sqlite-journal.ts';

const ROW: JournalRow = {
  networkName: 'blue',
  id: 'c0ffee',
  ifname: 'net1',
  podref: 'lab/db-0',
  conf: 'storage-a',
  range: '10.0.0.0/24',
  rangeText: '10.0.0.9/24',
  key: '5',
  reservation: { uid: 'u', version: '7', claimant: 'c0ffee' },
  isSure: true,
};
const ONE = { id: 'c0ffee', ifname: 'net1' };
const DELETION = { networkName: 'blue', ...ONE, ranges: ['10.0.0.0/24'] };

/** A node, its clock, and a process of it for each journal. */
function node() {
  const folder = temporaryFolder();
  const clock = { ms: 1_000_000 };
  const lines: string[] = [];
  const open = (kubeconfig = '/k'): SqliteJournal =>
    new SqliteJournal(
      { dataDir: join(folder.path, 'data'), kubeconfig },
      openDatabase,
      { ...CALLER, log: (line) => lines.push(line) },
      () => clock.ms,
    );
  return { open, clock, lines, dataDir: join(folder.path, 'data'), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

describe('SqliteJournal', () => {
  it('is not made by looking', async () => {
    using one = node();
    using journal = one.open();
    expect([await journal.rowsOf('blue', [ONE]), await journal.due(9), await journal.waiting()]).toEqual([[], [], 0]);
    expect((await journal.deletions('blue', [ONE])).size).toBe(0);
    expect(existsSync(one.dataDir)).toBe(false);
  });

  it('remembers what attachments hold, in every process, apart for each cluster and network', async () => {
    using one = node();
    {
      using journal = one.open();
      await journal.record({ remove: [], write: [ROW, { ...ROW, key: '6', reservation: undefined, isSure: false }] });
    }
    using journal = one.open();
    using other = one.open('/other');
    expect(await journal.rowsOf('blue', [ONE])).toEqual([
      ROW,
      { ...ROW, key: '6', reservation: undefined, isSure: false },
    ]);
    expect(await journal.all('blue')).toHaveLength(2);
    expect([await journal.rowsOf('', [ONE]), await journal.rowsOf('blue', [{ id: 'x', ifname: 'net1' }])]).toEqual([
      [],
      [],
    ]);
    expect(await other.all('blue')).toEqual([]);
    await journal.record({ remove: [ROW], write: [{ ...ROW, key: '6' }] });
    expect(await journal.all('blue')).toEqual([{ ...ROW, key: '6' }]);
  });

  it('gives a deletion that was not finished to one later call, and to another one when that is killed', async () => {
    using one = node();
    using journal = one.open();
    using other = one.open();
    await journal.bury([DELETION], { afterMs: 35_000, isUnderWay: true });
    expect((await other.deletions('blue', [ONE])).get('c0ffee net1')).toEqual({ at: 1_000_000, state: 'under way' });
    expect([await other.due(9), await other.take(DELETION), await other.waiting()]).toEqual([[], false, 1]);
    one.clock.ms += 35_000;
    expect((await other.deletions('blue', [ONE])).get('c0ffee net1')?.state).toBe('waiting');
    expect([await other.due(9), await journal.due(9), await journal.take(DELETION)]).toEqual([[DELETION], [], false]);
    one.clock.ms += 35_000;
    expect([await journal.take(DELETION), await other.due(9)]).toEqual([true, []]);
    await journal.finish([DELETION]);
    one.clock.ms += 35_000;
    expect([await journal.due(9), await journal.waiting()]).toEqual([[], 0]);
    expect((await journal.deletions('blue', [ONE])).get('c0ffee net1')).toEqual({ at: 1_000_000, state: 'done' });
  });

  it('waits longer each time that a deletion cannot be finished, and not for ever', async () => {
    using one = node();
    using journal = one.open();
    await journal.bury([{ ...DELETION, ranges: undefined }], { afterMs: 0, isUnderWay: false });
    const waits: number[] = [];
    for (let tries = 0; tries < 12; tries++) {
      const from = one.clock.ms;
      while ((await journal.due(9)).length === 0) {
        one.clock.ms += 500;
      }
      waits.push(one.clock.ms - from);
      await journal.postpone([DELETION]);
    }
    expect(waits.slice(0, 6)).toEqual([0, 1000, 2000, 4000, 8000, 16_000]);
    expect(waits.at(-1)).toBe(300_000);
  });

  it('forgets deletions that are done, after a while', async () => {
    using one = node();
    using journal = one.open();
    await journal.bury([DELETION], { afterMs: 0, isUnderWay: false });
    await journal.finish([DELETION]);
    one.clock.ms += 600_001;
    await journal.bury([{ ...DELETION, id: 'other' }], { afterMs: 0, isUnderWay: false });
    expect((await journal.deletions('blue', [ONE])).size).toBe(0);
    expect(await journal.waiting()).toBe(1);
  });

  it('is begun anew when it is damaged, which it says', async () => {
    using one = node();
    {
      using journal = one.open();
      await journal.record({ remove: [], write: [ROW] });
    }
    writeFileSync(join(one.dataDir, 'cluster.db'), 'not a database, by any means'.repeat(400));
    using journal = one.open();
    expect(await journal.all('blue')).toEqual([]);
    await journal.record({ remove: [], write: [ROW] });
    expect(await journal.all('blue')).toEqual([ROW]);
    expect(one.lines).toEqual([expect.stringContaining('cluster.db" is damaged, and begun anew')]);
    expect(readdirSync(one.dataDir)).toContain('cluster.db.damaged');
  });

  it('takes what many calls write at once', async () => {
    using one = node();
    const journals = Array.from({ length: 6 }, () => one.open());
    await Promise.all(
      journals.flatMap((journal, index) =>
        Array.from({ length: 10 }, (_, key) =>
          journal.record({ remove: [], write: [{ ...ROW, id: `c${index}`, key: String(key) }] }),
        ),
      ),
    );
    expect(await journals[0]?.all('blue')).toHaveLength(60);
    for (const journal of journals) {
      journal[Symbol.dispose]();
    }
  });
});
