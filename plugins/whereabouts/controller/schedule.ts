import { readFileSync } from 'node:fs';
import { messageOf } from '../../../lib/cni/errors.ts';
import { nextTime, parseCron } from '../../../lib/controller/cron.ts';
import { jittered } from '../../../lib/controller/repeat.ts';

/** Where the Go reconciler has its schedule: a key of a ConfigMap. */
export const CRON_FILE = '/cron-schedule/config';

const MINUTE_MS = 60_000;
export const DEFAULT_INTERVAL_MS = 30 * MINUTE_MS;

export interface ScheduleOptions {
  /** undefined: the file's schedule, else the flat file's, else every half hour */
  readonly intervalMs: number | undefined;
  readonly cronFile: string;
  readonly flatFiles: readonly string[];
  log(line: string): void;
}

/** When the next round is due, after one that began at `lastMs`; the schedule may change while it is waited for. */
export function nextRound({ intervalMs, cronFile, flatFiles, log }: ScheduleOptions, lastMs: number): number {
  if (intervalMs !== undefined) {
    return lastMs + intervalMs;
  }
  for (const [place, text] of [
    [cronFile, readText(cronFile)],
    ...flatFiles.map((path) => [path, expressionIn(readText(path))] as const),
  ] as const) {
    if (text !== undefined && text.trim() !== '') {
      try {
        return nextTime(parseCron(text), lastMs) ?? Number.POSITIVE_INFINITY;
      } catch (error) {
        log(`cannot use the schedule in "${place}": ${messageOf(error)}`);
      }
    }
  }
  return lastMs + DEFAULT_INTERVAL_MS;
}

/** How long to wait before looking again at what is due. @returns 0 when it is time */
export const waitMs = (dueMs: number, nowMs: number): number =>
  dueMs <= nowMs ? 0 : Math.min(dueMs - nowMs, jittered(MINUTE_MS));

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function expressionIn(text: string | undefined): string | undefined {
  try {
    const document = JSON.parse(text ?? '') as { readonly reconciler_cron_expression?: unknown };
    return typeof document.reconciler_cron_expression === 'string' ? document.reconciler_cron_expression : undefined;
  } catch {
    return undefined;
  }
}
