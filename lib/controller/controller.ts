import type { KubeApi } from '../kube/api.ts';
import type { WatchClient } from '../kube/watch.ts';
import { clockOf } from '../sys/clock.ts';
import { eventRecorder } from './events.ts';
import { type HealthAddress, serveHealth } from './health.ts';
import { lead, type Standing, type Times } from './leader.ts';
import { makeMetrics } from './metrics.ts';
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
  const isServing = address !== undefined;
  await using stack = new AsyncDisposableStack();
  if (isServing) {
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
    const host = hostOf(controller, metrics, ending);
    await Promise.all(controller.parts.map((part) => runPart(part, host)));
  });
}

function hostOf(
  { client, options, identity, log }: ControllerParts,
  metrics: PartHost['metrics'],
  signal: AbortSignal,
) {
  const api = client.api(signal);
  return { api, signal, events: eventRecorder(api, identity, log), metrics, options, log, ...clockOf(signal) };
}

/** A part that returns before the signal is done. */
async function runPart(part: ControllerPart, host: PartHost): Promise<void> {
  const log = (line: string): void => host.log(`${part.name}: ${line}`);
  const own = new AbortController();
  const end = (): void => own.abort(host.signal.reason);
  host.signal.addEventListener('abort', end, { once: true });
  if (host.signal.aborted) {
    end();
  }
  const failures = host.metrics.counter(
    'braid_controller_part_failures_total',
    'How often a part had to be run again.',
  );
  await repeat({ ...clockOf(own.signal), signal: own.signal, log }, 'failed', async () => {
    try {
      await part.run({ ...host, log });
      own.abort(new Error('done'));
      return 0;
    } catch (error) {
      if (!host.signal.aborted) {
        failures.add(1, { part: part.name });
      }
      throw error;
    }
  });
}
