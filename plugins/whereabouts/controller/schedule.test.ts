import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { DEFAULT_INTERVAL_MS, nextRound, waitMs } from './schedule.ts';

const LAST = Date.parse('2026-01-02T12:00:00Z');

describe('nextRound', () => {
  it('follows the option, else the file, else a flat file, else is half an hour later; files may change', () => {
    using folder = temporaryFolder();
    const [cronFile, flatFile] = [join(folder.path, 'config'), join(folder.path, 'whereabouts.conf')];
    const lines: string[] = [];
    const next = (intervalMs?: number): string =>
      new Date(
        nextRound({ intervalMs, cronFile, flatFiles: [flatFile], log: (line) => lines.push(line) }, LAST),
      ).toISOString();
    expect(next()).toBe(new Date(LAST + DEFAULT_INTERVAL_MS).toISOString());
    writeFileSync(flatFile, '{"reconciler_cron_expression": "15 */6 * * *"}');
    expect(next()).toBe('2026-01-02T12:15:00.000Z');
    writeFileSync(cronFile, '30 4 * * *\n');
    expect(next()).toBe('2026-01-03T04:30:00.000Z');
    expect(next(60_000)).toBe('2026-01-02T12:01:00.000Z');
    writeFileSync(cronFile, 'nonsense');
    expect(next()).toBe('2026-01-02T12:15:00.000Z');
    expect(lines).toEqual([
      `cannot use the schedule in "${cronFile}": "nonsense" is not a schedule: five fields are expected, as in "30 4 * * *"`,
    ]);
  });
});

describe('waitMs', () => {
  it('is over when it is time, and else soon, to look again', () => {
    expect([waitMs(LAST, LAST), waitMs(LAST, LAST + 1), waitMs(LAST + 5, LAST)]).toEqual([0, 0, 5]);
    expect(waitMs(LAST + 3_600_000, LAST)).toBeLessThanOrEqual(75_000);
  });
});
