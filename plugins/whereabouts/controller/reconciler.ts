import type { PartHost } from '../../../lib/controller/part.ts';
import { repeat } from '../../../lib/controller/repeat.ts';
import { usableOf } from '../../../lib/net/range.ts';
import { storedIn } from '../cluster/stored-pool.ts';
import { FLAT_FILES } from '../flat-file.ts';
import type { Look } from './look.ts';
import { secondsIn } from './options.ts';
import { type Report, runRound } from './round.ts';
import { CRON_FILE, nextRound, waitMs } from './schedule.ts';

const GRACE_MS = 300_000;
/** Less would take a pod that is being attached for one that has nothing. */
const PAUSE_MS = 60_000;
const SECONDS = [1, 5, 15, 60, 120, 300];

/** What differs in tests. */
export interface Timing {
  readonly pauseMs: number;
}

/** Frees, protects and claims what the pools of the cluster have wrong, at once and then as scheduled. */
export async function reconcile(host: PartHost, { pauseMs }: Timing = { pauseMs: PAUSE_MS }): Promise<void> {
  const metrics = metricsOf(host);
  const schedule = {
    intervalMs: secondsIn(host.options, 'interval'),
    cronFile: String(host.options['cron-file'] ?? CRON_FILE),
    flatFiles: FLAT_FILES,
    log: once(host.log),
  };
  const round = {
    ...host,
    graceMs: secondsIn(host.options, 'grace') ?? GRACE_MS,
    pauseMs,
    isEndEnough: host.options['free-ended'] === true,
    flatFiles: FLAT_FILES,
    nowMs: Date.now,
    looked: metrics.looked,
  };
  let lastMs: number | undefined;
  await repeat(host, 'cannot look at the cluster', async () => {
    const due = lastMs === undefined ? Date.now() : nextRound(schedule, lastMs);
    const wait = waitMs(due, Date.now());
    if (wait > 0) {
      return wait;
    }
    const begun = Date.now();
    try {
      metrics.done(await runRound(round), (Date.now() - begun) / 1000);
    } catch (error) {
      metrics.failed();
      throw error;
    }
    lastMs = begun;
    return waitMs(nextRound(schedule, lastMs), Date.now());
  });
}

/** A schedule is looked at every minute. */
function once(log: (line: string) => void): (line: string) => void {
  let last = '';
  return (line) => {
    if (line !== last) {
      last = line;
      log(line);
    }
  };
}

function metricsOf({ metrics }: PartHost) {
  const used = metrics.gauge('whereabouts_pool_used', 'Addresses that are taken in a pool.');
  const size = metrics.gauge('whereabouts_pool_size', 'Addresses of the range of a pool that can be given.');
  const reservations = metrics.gauge('whereabouts_reservations', 'Reservations across ranges.');
  const repairs = metrics.counter('whereabouts_repairs_total', 'What the reconciler has done, by kind.');
  const failures = metrics.counter('whereabouts_failures_total', 'What could not be done, by part.');
  const seconds = metrics.histogram('whereabouts_loop_seconds', 'How long a round of a part takes.', SECONDS);
  const failed = (count = 1): void => failures.add(count, { part: 'reconciler' });
  return {
    failed,
    looked: ({ pools, reservations: all }: Look): void => {
      used.clear();
      size.clear();
      for (const pool of pools) {
        const { name, cidr } = pool;
        const usable = usableOf(cidr);
        used.set(storedIn(pool).length, { pool: name });
        size.set(usable === undefined ? 0 : Number(usable.last - usable.first + 1n), { pool: name });
      }
      reservations.set(all.length);
    },
    done: ({ failures: count, ...kinds }: Report, tookSeconds: number): void => {
      for (const [kind, number] of Object.entries(kinds)) {
        repairs.add(number, { kind });
      }
      failed(count);
      seconds.observe(tookSeconds, { part: 'reconciler' });
    },
  };
}
