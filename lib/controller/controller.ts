import type { KubeApi } from '../kube/api.ts';
import type { WatchClient } from '../kube/watch.ts';
import { type HealthAddress, serveHealth } from '../observe/health.ts';
import { type Metrics, makeMetrics } from '../observe/metrics.ts';
import { clockOf } from '../sys/clock.ts';
import { eventRecorder } from './events.ts';
import { lead, type Standing, type Times } from './leader.ts';
import type { ControllerPart, PartHost } from './part.ts';
import { repeat } from './repeat.ts';

export interface ControllerParts {
  readonly client: WatchClient;
  readonly parts: readonly ControllerPart[];
  readonly options: PartHost['options'];
  /** name of the Lease, in the namespace of the client */
  readonly lease: string;
  readonly identity: string;
  /** undefined: neither health nor metrics are served */
  readonly address: HealthAddress | undefined;
  /** of the election; undefined: the usual ones */
  readonly times?: Times;
  readonly signal: AbortSignal;
  log(line: string): void;
}

/** Of a part that has nothing more to do. */
const DONE_PAUSE_MS = 3_600_000;

/**
 * Does the work of a cluster while this process leads, until the signal fires.
 *
 * @throws when it cannot listen at its address
 */
export async function runController(controller: ControllerParts): Promise<void> {
  const { client, lease, identity, address, signal, log } = controller;
  const metrics = makeMetrics();
  const leading = metrics.gauge('braid_controller_leader', 'Whether this process leads: 1, or 0 when it stands by.');
  let standing: Standing | undefined;
  await using stack = new AsyncDisposableStack();
  if (address !== undefined) {
    const server = stack.use(await serveHealth(address, { standing: () => standing, metrics }));
    log(`serves /healthz, /readyz and /metrics on port ${server.port}`);
  }
  const api: KubeApi = client.api();
  const times = controller.times === undefined ? {} : { times: controller.times };
  const election = { api, namespace: api.namespace, lease, identity, signal, clock: clockOf(signal), log, ...times };
  const onStanding = (now: Standing): void => {
    standing = now;
    leading.set(now === 'leader' ? 1 : 0);
  };
  await lead({ ...election, onStanding }, async (ending) => {
    await Promise.all(controller.parts.map((part) => runPart(part, controller, metrics, ending)));
  });
}

/** A part that returns before the signal is done; what a part that failed has left running ends before it is run again. */
async function runPart(
  part: ControllerPart,
  { client, options, identity, log: toAll }: ControllerParts,
  metrics: Metrics,
  ending: AbortSignal,
): Promise<void> {
  const log = (line: string): void => toAll(`${part.name}: ${line}`);
  const failures = metrics.counter('braid_controller_part_failures_total', 'How often a part had to be run again.');
  let isDone = false;
  await repeat({ ...clockOf(ending), signal: ending, log }, 'failed', async () => {
    const own = new AbortController();
    const signal = AbortSignal.any([ending, own.signal]);
    const api = client.api(signal);
    try {
      if (!isDone) {
        await part.run({
          api,
          signal,
          events: eventRecorder(api, identity, log),
          metrics,
          options,
          log,
          ...clockOf(signal),
        });
        isDone = true;
      }
      return DONE_PAUSE_MS;
    } catch (error) {
      if (!ending.aborted) {
        failures.add(1, { part: part.name });
      }
      throw error;
    } finally {
      own.abort(new Error(`part "${part.name}" has ended`));
    }
  });
}
