import { messageOf } from '../../../lib/cni/errors.ts';
import { type Happened, Informer } from '../../../lib/controller/informer.ts';
import type { PartHost } from '../../../lib/controller/part.ts';
import { jittered, quietly } from '../../../lib/controller/repeat.ts';
import type { KubeObject } from '../../../lib/kube/api.ts';
import type { Selection } from '../../../lib/kube/watch.ts';
import { FLAT_FILES } from '../flat-file.ts';
import { NETWORK_STATUS } from '../sweep/network-status.ts';
import { ALL_NADS, clusterNetwork, type NadObject } from '../sweep/networks.ts';
import { podNamed, podrefOf } from '../sweep/pods.ts';
import { ALL_PODS, readHolders } from './look.ts';
import { freeBatch, metricsOf, type Waiting } from './pod-batch.ts';
import type { KnownNetwork, Running } from './pod-freeing.ts';

/** Most pods go together with their addresses: the node's own DEL gets so much time to free them. */
const SETTLE_MS = 5_000;
/** What a container keeps is looked at so much more seldom. */
const KEPT_LOOKS = 3;
/** As long as the reconciler waits: the pod of a node may have its networks before the server knows of it. */
const MISSED_MS = 60_000;
/** Pods in one go: their pools are read once. */
const MOST_AT_ONCE = 500;

export interface PodLoopOptions {
  /** only pods of this node: for its agent, which knows itself who has got addresses on it */
  readonly own?: {
    readonly node: string;
    /** podrefs; throws when it cannot be told */
    holders(): Promise<Iterable<string>>;
    /** see `Freeing` */
    readonly running?: () => Promise<Running>;
  };
  readonly settleMs?: number;
  readonly missedMs?: number;
  readonly flatFiles?: readonly string[];
}

/**
 * Frees the addresses of deleted pods soon after they have gone: those that it sees going, and, at its start, those that
 * went while nobody watched.
 */
export async function followPods(host: PartHost, options: PodLoopOptions = {}): Promise<void> {
  const { own, settleMs = SETTLE_MS, missedMs = MISSED_MS, flatFiles = FLAT_FILES } = options;
  const { api, signal } = host;
  const queue = new Map<string, Waiting>();
  const freeing = { ...host, ...(own?.running && { running: own.running }) };
  const selection = {
    isMetadataOnly: true,
    ...(own === undefined ? {} : { fieldSelector: `spec.nodeName=${own.node}` }),
  };
  const pods = new Informer<KubeObject, Waiting>(
    {
      path: ALL_PODS,
      selection,
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
    if (!signal.aborted) {
      const holders = own === undefined ? () => readHolders(api) : () => own.holders();
      await missed(host, queue, { holders, selection, missedMs });
    }
    while (!signal.aborted) {
      await quietly(host.sleep(jittered(settleMs)), signal);
      const now = host.now();
      const batch = [...queue.values()].filter(({ due }) => due <= now).slice(0, MOST_AT_ONCE);
      for (const { uid } of batch) {
        queue.delete(uid);
      }
      if (batch.length > 0 && !signal.aborted) {
        await freeBatch(batch, { host, freeing, nads, queue, metrics, keptMs: KEPT_LOOKS * settleMs });
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

interface Missed {
  readonly holders: () => Promise<Iterable<string>>;
  readonly selection: Selection;
  readonly missedMs: number;
}

/** Pods that hold something and are not there. All is asked for again before it is freed. */
async function missed(
  { api, log, now }: PartHost,
  queue: Map<string, Waiting>,
  { holders, selection, missedMs }: Missed,
): Promise<void> {
  try {
    const podrefs = new Set(await holders());
    const there = new Set<string>();
    await api.each(ALL_PODS, selection, (pod) => there.add(podrefOf(pod)));
    for (const podref of podrefs) {
      if (podNamed(podref) !== undefined && !there.has(podref)) {
        queue.set(podref, { podref, uid: podref, status: undefined, tries: 0, due: now() + missedMs });
      }
    }
  } catch (error) {
    log(`cannot tell who went before: ${messageOf(error)}; the reconciler will`);
  }
}
