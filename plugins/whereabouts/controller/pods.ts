import { messageOf } from '../../../lib/cni/errors.ts';
import type { KubeEvent } from '../../../lib/controller/events.ts';
import { type Happened, Informer } from '../../../lib/controller/informer.ts';
import type { PartHost } from '../../../lib/controller/part.ts';
import { jittered, quietly } from '../../../lib/controller/repeat.ts';
import type { KubeObject } from '../../../lib/kube/api.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import { FLAT_FILES } from '../flat-file.ts';
import { NETWORK_STATUS } from '../sweep/network-status.ts';
import { ALL_NADS, clusterNetwork, type NadObject } from '../sweep/networks.ts';
import { podNamed, podrefOf } from '../sweep/pods.ts';
import { ALL_PODS, readHolders } from './look.ts';
import { freeGone, type GonePod, type KnownNetwork, type NetworkNamed, type Outcome } from './pod-freeing.ts';

/** Most pods go together with their addresses: the node's own DEL gets so much time to free them. */
const SETTLE_MS = 5_000;
/** Tries, as in Go, before a pod is given up; the reconciler frees what is left. */
const TRIES = 4;
/** As long as the reconciler waits: the pod of a node may have its networks before the server knows of it. */
const MISSED_MS = 60_000;
/** Pods in one go: their pools are read once. */
const MOST_AT_ONCE = 500;

export interface PodLoopOptions {
  /** only pods of this node: for a node's agent */
  readonly node?: string;
  readonly settleMs?: number;
  readonly missedMs?: number;
  readonly flatFiles?: readonly string[];
}

/** A deleted pod, and how often it was tried to free what it had. */
interface Waiting extends GonePod {
  readonly uid: string;
  readonly tries: number;
  /** by the clock of the part */
  readonly due: number;
}

/**
 * Frees the addresses of deleted pods soon after they have gone: those that it sees going, and, at its start, those that
 * went while nobody watched.
 */
export async function followPods(host: PartHost, options: PodLoopOptions = {}): Promise<void> {
  const { node, settleMs = SETTLE_MS, missedMs = MISSED_MS, flatFiles = FLAT_FILES } = options;
  const { api, signal } = host;
  const queue = new Map<string, Waiting>();
  const pods = new Informer<KubeObject, Waiting>(
    {
      path: ALL_PODS,
      selection: { isMetadataOnly: true, ...(node === undefined ? {} : { fieldSelector: `spec.nodeName=${node}` }) },
      keep: keptOf,
    },
    ({ type, value }: Happened<Waiting>) => {
      if (type === 'gone') {
        queue.set(value.uid, value);
      }
    },
  );
  const nads = new Informer<NadObject, KnownNetwork>({
    path: ALL_NADS,
    keep: (nad) => networkOrFault(nad, flatFiles),
  });
  const metrics = metricsOf(host);
  const work = async (): Promise<void> => {
    await quietly(Promise.all([ended(signal, pods.synced), ended(signal, nads.synced)]), signal);
    if (node === undefined && !signal.aborted) {
      await missed(host, queue, missedMs); // an agent knows what its node holds
    }
    while (!signal.aborted) {
      await quietly(host.sleep(jittered(settleMs)), signal);
      const now = host.now();
      const batch = [...queue.values()].filter(({ due }) => due <= now).slice(0, MOST_AT_ONCE);
      for (const { uid } of batch) {
        queue.delete(uid);
      }
      if (batch.length > 0 && !signal.aborted) {
        await freeBatch(host, batch, nads, queue, metrics);
      }
      metrics.waiting(queue.size);
    }
  };
  await Promise.all([pods.run(api, host), nads.run(api, host), work()]);
}

/** Only pods that may have addresses of ours are kept, and of them little. */
function keptOf({ metadata, ...rest }: KubeObject): Waiting | undefined {
  const status = metadata.annotations?.[NETWORK_STATUS];
  return status === undefined
    ? undefined
    : { podref: podrefOf({ metadata, ...rest }), uid: metadata.uid ?? '', status, tries: 0, due: 0 };
}

function networkOrFault(nad: NadObject, flatFiles: readonly string[]): KnownNetwork {
  try {
    return clusterNetwork(nad, flatFiles) ?? 'other';
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

/** A promise that need not be waited for any longer than the signal. */
function ended<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([
    promise,
    new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true })),
  ]);
}

/** Pods that hold something and are not there. All is asked for again before it is freed. */
async function missed({ api, log, now }: PartHost, queue: Map<string, Waiting>, missedMs: number): Promise<void> {
  try {
    const holders = await readHolders(api);
    const there = new Set<string>();
    await api.each(ALL_PODS, { isMetadataOnly: true }, (pod) => there.add(podrefOf(pod)));
    for (const podref of holders) {
      if (podNamed(podref) !== undefined && !there.has(podref)) {
        queue.set(podref, { podref, uid: podref, status: undefined, tries: 0, due: now() + missedMs });
      }
    }
  } catch (error) {
    log(`cannot tell who went before: ${messageOf(error)}; the reconciler will`);
  }
}

async function freeBatch(
  host: PartHost,
  batch: readonly Waiting[],
  nads: Informer<NadObject, KnownNetwork>,
  queue: Map<string, Waiting>,
  metrics: ReturnType<typeof metricsOf>,
): Promise<void> {
  const outcomes = await outcomesOf(host, batch, (name) => nads.get(name));
  for (const [pod, outcome] of outcomes) {
    const { uid, podref, tries } = pod as Waiting;
    if (outcome.status === 'freed') {
      metrics.freed(outcome.addresses.length);
      for (const { ip, nad } of outcome.addresses) {
        const message = `successful cleanup of IP address [${formatIp(ip)}] from network ${nad}`;
        host.log(`${podref}: ${message}`);
        await host.events.record(about(podref, uid, 'Normal', 'IPAddressGarbageCollected', message));
      }
    } else if (tries + 1 < TRIES) {
      queue.set(uid, { ...(pod as Waiting), tries: tries + 1 });
    } else {
      metrics.failed();
      host.log(`gives up pod "${podref}": ${outcome.why}`);
      const message = `failed to garbage collect addresses for pod ${podref}`;
      await host.events.record(about(podref, uid, 'Warning', 'IPAddressGarbageCollectionFailed', message));
    }
  }
}

async function outcomesOf(host: PartHost, batch: readonly Waiting[], networkNamed: NetworkNamed) {
  try {
    return await freeGone(host, batch, networkNamed);
  } catch (error) {
    const failed: Outcome = { status: 'failed', why: messageOf(error) };
    return new Map(batch.map((pod): [GonePod, Outcome] => [pod, failed]));
  }
}

function about(podref: string, uid: string, type: KubeEvent['type'], reason: string, message: string): KubeEvent {
  const { namespace = '', name = '' } = podNamed(podref) ?? {};
  const known = uid === podref ? {} : { uid };
  const regarding = { apiVersion: 'v1', kind: 'Pod', namespace, name, ...known };
  return { type, reason, message, regarding, component: 'pod-ip-controlloop' };
}

function metricsOf({ metrics }: PartHost) {
  const freed = metrics.counter('whereabouts_pod_addresses_freed_total', 'Addresses freed when their pod had gone.');
  const failures = metrics.counter('whereabouts_failures_total', 'What could not be done, by part.');
  const waiting = metrics.gauge('whereabouts_pods_waiting', 'Deleted pods whose addresses are still to be freed.');
  return {
    freed: (count: number) => freed.add(count),
    failed: () => failures.add(1, { part: 'pods' }),
    waiting: (count: number) => waiting.set(count),
  };
}
