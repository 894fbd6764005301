/** What is done with pods whose time has come, and what is told of it. */
import { messageOf } from '../../../lib/cni/errors.ts';
import type { KubeEvent } from '../../../lib/controller/events.ts';
import type { Informer } from '../../../lib/controller/informer.ts';
import type { PartHost } from '../../../lib/controller/part.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import type { NadObject } from '../sweep/networks.ts';
import { podNamed } from '../sweep/pods.ts';
import { type Freeing, freeGone, type GonePod, type KnownNetwork, type Outcome } from './pod-freeing.ts';

/** Tries, as in Go, before a pod is given up; the reconciler frees what is left. */
const TRIES = 4;

/** A deleted pod, and how often it was tried to free what it had. */
export interface Waiting extends GonePod {
  readonly uid: string;
  readonly tries: number;
  /** by the clock of the part */
  readonly due: number;
  /** why it has kept something until now, as it was told */
  readonly told?: string;
}

export interface Batching {
  readonly host: PartHost;
  readonly freeing: Freeing;
  readonly nads: Pick<Informer<NadObject, KnownNetwork>, 'get'>;
  readonly queue: Map<string, Waiting>;
  readonly metrics: ReturnType<typeof metricsOf>;
  /** until it is looked again at what a pod keeps: its DEL frees that, as a rule */
  readonly keptMs: number;
}

/** Frees what pods had. Those of which something is left go back into the queue, or are given up. Never throws. */
export async function freeBatch(batch: readonly Waiting[], batching: Batching): Promise<void> {
  for (const [pod, outcome] of await outcomesOf(batch, batching)) {
    await tell(pod, outcome, batching);
  }
}

async function tell(pod: Waiting, outcome: Outcome, { host, queue, metrics, keptMs }: Batching): Promise<void> {
  const { uid, podref, tries, told } = pod;
  if (outcome.status === 'failed') {
    if (tries + 1 < TRIES) {
      queue.set(uid, { ...pod, tries: tries + 1 });
      return;
    }
    metrics.failed();
    host.log(`gives up pod "${podref}": ${outcome.why}`);
    const message = `failed to garbage collect addresses for pod ${podref}`;
    await host.events.record(about(pod, 'Warning', 'IPAddressGarbageCollectionFailed', message));
    return;
  }
  metrics.freed(outcome.addresses.length);
  for (const { ip, nad } of outcome.addresses) {
    const message = `successful cleanup of IP address [${formatIp(ip)}] from network ${nad}`;
    host.log(`${podref}: ${message}`);
    await host.events.record(about(pod, 'Normal', 'IPAddressGarbageCollected', message));
  }
  if (outcome.status === 'kept') {
    if (outcome.why !== told) {
      host.log(`${podref} keeps its addresses: ${outcome.why}`);
    }
    queue.set(uid, { ...pod, told: outcome.why, due: host.now() + keptMs });
  }
}

async function outcomesOf(
  batch: readonly Waiting[],
  { freeing, nads }: Batching,
): Promise<ReadonlyMap<Waiting, Outcome>> {
  try {
    return await freeGone(freeing, batch, (name) => nads.get(name));
  } catch (error) {
    const failed: Outcome = { status: 'failed', why: messageOf(error) };
    return new Map(batch.map((pod) => [pod, failed]));
  }
}

function about({ podref, uid }: Waiting, type: KubeEvent['type'], reason: string, message: string): KubeEvent {
  const { namespace = '', name = '' } = podNamed(podref) ?? {};
  const known = uid === podref ? {} : { uid };
  const regarding = { apiVersion: 'v1', kind: 'Pod', namespace, name, ...known };
  return { type, reason, message, regarding, component: 'pod-ip-controlloop' };
}

/** What people see of it. */
export function metricsOf({ metrics }: PartHost) {
  const freed = metrics.counter('whereabouts_pod_addresses_freed_total', 'Addresses freed when their pod had gone.');
  const failures = metrics.counter('whereabouts_failures_total', 'What could not be done, by part.');
  const waiting = metrics.gauge('whereabouts_pods_waiting', 'Deleted pods whose addresses are still to be freed.');
  return {
    freed: (count: number) => freed.add(count),
    failed: () => failures.add(1, { part: 'pods' }),
    waiting: (count: number) => waiting.set(count),
  };
}
