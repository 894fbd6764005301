import { bounded, messageOf } from '../../../lib/cni/errors.ts';
import type { Result } from '../../../lib/cni/result.ts';
import { ApiError, type KubeApi, type KubeObject } from '../../../lib/kube/api.ts';
import { type Clock, clockOf } from '../../../lib/sys/clock.ts';
import { EVENTS } from './objects.ts';

/** What `kubectl describe pod` shows: users and tests read reason and message. */
export interface PodEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** The pod that the events are about. */
export interface EventPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string | undefined;
}

/** The server takes what client-go sends, but `kubectl describe` shows all of it. */
const LONGEST_CAUSE = 1000;

/** @returns undefined for a result that has neither interfaces nor addresses */
export function addedInterface(
  ifName: string,
  { interfaces, ips }: Pick<Result, 'interfaces' | 'ips'>,
  network: string,
): PodEvent | undefined {
  if (interfaces.length === 0 && ips.length === 0) {
    return undefined;
  }
  const addresses = ips.map(({ address }) => address).join(' ');
  const from = network === '' ? '' : ` from ${network}`;
  return { type: 'Normal', reason: 'AddedInterface', message: `Add ${ifName} [${addresses}]${from}` };
}

/** A NetworkAttachmentDefinition that cannot be had. */
export const noNetworkFound = (name: string, namespace: string, cause: string): PodEvent => ({
  type: 'Warning',
  reason: 'NoNetworkFound',
  message: `cannot find a network-attachment-definition (${name}) in namespace (${namespace}): ${bounded(cause, LONGEST_CAUSE)}`,
});

/** What a pod asks of a network, and none of its plugins says that it can do. */
export const unheededCapabilities = (network: string, capabilities: readonly string[]): PodEvent => ({
  type: 'Warning',
  reason: 'CapabilityNotSupported',
  message: `no plugin of network ${network} declares capability ${capabilities.map((name) => JSON.stringify(name)).join(', ')}, which the annotation asks for`,
});

/** client-go combines similar events from the tenth on, and keeps the message of the last: here all of them are kept. */
const MOST_ALIKE = 10;
const COMBINED = '(combined from similar events): ';

/** With the result of the call ready, nobody waits longer for events than this. */
const DEADLINE_MS = 3_000;

const ATTEMPTS = 3;
const PAUSE_MS = 50;
const CONFLICT = 409;

interface Options {
  /** What cannot be told is logged: no call fails for it. */
  readonly log: (line: string) => void;
  readonly deadlineMs?: number;
}

/** The events of one call about one pod: they are kept while it runs, and sent together. */
export class PodEvents {
  private readonly pod: EventPod;
  private readonly options: Options;
  private kept: { readonly event: PodEvent; readonly time: Date }[] = [];

  constructor(pod: EventPod, options: Options) {
    this.pod = pod;
    this.options = options;
  }

  record(event: PodEvent | undefined): void {
    if (event !== undefined) {
      this.kept.push({ event, time: new Date(Date.now()) });
    }
  }

  /** Sends what was recorded, all at once. Returns when the server has it, or when the time is over; never fails. */
  async flush(api: Pick<KubeApi, 'create'>): Promise<void> {
    const sending = new Set(combined(this.kept).map((one) => eventObject(this.pod, one)));
    this.kept = [];
    if (sending.size === 0) {
      return;
    }
    const { log, deadlineMs = DEADLINE_MS } = this.options;
    const failed = (event: StoredEvent, why: string): void =>
      log(`cannot tell pod "${this.pod.name}" of "${event.message}": ${why}`);
    const isOver = new AbortController();
    const clock = clockOf(isOver.signal);
    const sent = [...sending].map(async (event) => {
      try {
        await send(api, this.pod.namespace, event, clock);
      } catch (error) {
        if (!isOver.signal.aborted) {
          failed(event, messageOf(error));
        }
      }
      sending.delete(event);
    });
    await Promise.race([Promise.all(sent), clock.sleep(deadlineMs)]);
    isOver.abort();
    for (const event of sending) {
      failed(event, `the server has not answered within ${deadlineMs / 1000} s`);
    }
  }
}

/** Tries again what may have got lost: the name tells the server whether it has the event already. */
async function send(
  api: Pick<KubeApi, 'create'>,
  namespace: string,
  event: StoredEvent,
  { sleep }: Clock,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await api.create({ resource: EVENTS, namespace }, event);
      return;
    } catch (error) {
      const { reason, isOutcomeUnknown = false, status } = error instanceof ApiError ? error : {};
      if (reason === 'AlreadyExists') {
        return;
      }
      if (attempt === ATTEMPTS || !(isOutcomeUnknown || status === CONFLICT)) {
        throw error;
      }
      await sleep(PAUSE_MS);
    }
  }
}

interface Kept {
  readonly event: PodEvent;
  readonly time: Date;
  /** how many it stands for */
  readonly count?: number;
}

/** One event for each, but a last one for all that are too many of a reason. */
function combined(kept: readonly Kept[]): readonly Kept[] {
  return [...Map.groupBy(kept, ({ event: { type, reason } }) => `${type} ${reason}`).values()].flatMap((alike) => {
    const single = alike.length > MOST_ALIKE ? alike.slice(0, MOST_ALIKE - 1) : alike;
    const [first, ...others] = alike.slice(single.length);
    if (first === undefined) {
      return single;
    }
    const messages = [first, ...others].map(({ event }) => event.message);
    const event = { ...first.event, message: `${COMBINED}${messages.join(', ')}` };
    return [...single, { event, time: first.time, count: messages.length }];
  });
}

interface StoredEvent extends KubeObject {
  readonly message: string;
  readonly [member: string]: unknown;
}

/** RFC 1123: what an object's name may have. */
const LONGEST_NAME = 253;
const NANOSECONDS = 1_000_000n;

/** No two events of a pod have one name, which are made by one process at a time. */
let last = 0n;

/** https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1 in the form of core/v1, as client-go's recorder writes it. */
function eventObject(
  { namespace, name, uid, resourceVersion }: EventPod,
  { event, time, count = 1 }: Kept,
): StoredEvent {
  const now = BigInt(time.getTime()) * NANOSECONDS + (BigInt(Math.trunc(performance.now() * 1e6)) % NANOSECONDS);
  last = now > last ? now : last + 1n;
  const suffix = `.${last.toString(16)}`;
  const stamp = time.toISOString().replace(/\.\d+Z$/, 'Z');
  const start = name.slice(0, LONGEST_NAME - suffix.length).replace(/[^a-z0-9]+$/, '');
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${start}${suffix}`, namespace },
    involvedObject: {
      kind: 'Pod',
      namespace,
      name,
      uid,
      apiVersion: 'v1',
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    reason: event.reason,
    message: event.message,
    source: { component: 'multus' },
    firstTimestamp: stamp,
    lastTimestamp: stamp,
    count,
    type: event.type,
    reportingComponent: 'multus',
    reportingInstance: '',
  };
}
