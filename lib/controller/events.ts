import { messageOf } from '../cni/errors.ts';
import type { CollectionPath, KubeApi, KubeObject } from '../kube/api.ts';

/** What an event is about. */
export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
}

/** What `kubectl describe` shows below an object. */
export interface KubeEvent {
  readonly type: 'Normal' | 'Warning';
  /** one word: `IPAddressGarbageCollected` */
  readonly reason: string;
  readonly message: string;
  readonly regarding: Regarding;
  /** who says it */
  readonly component: string;
}

/** Tells people. What it cannot tell is logged, and never stops anybody. */
export interface EventRecorder {
  record(event: KubeEvent): Promise<void>;
}

interface StoredEvent extends KubeObject {
  readonly [member: string]: unknown;
}

/** The server keeps an event for an hour. */
const REMEMBERED_MS = 3_600_000;
const MOST_REMEMBERED = 2000;

/** Of a message; the server takes 1024 bytes. */
const LONGEST_MESSAGE = 1000;

/** Objects that belong to no namespace have their events there. */
const DEFAULT_NAMESPACE = 'default';

/** The same event is told once an hour. */
export function eventRecorder(api: KubeApi, instance: string, log: (line: string) => void): EventRecorder {
  const told = new Map<string, number>();
  return {
    record: async (event) => {
      const key = JSON.stringify(event);
      const now = Date.now();
      const before = told.get(key);
      if (before !== undefined && now - before < REMEMBERED_MS) {
        return;
      }
      forgetOldest(told);
      told.set(key, now);
      try {
        const namespace = event.regarding.namespace ?? DEFAULT_NAMESPACE;
        await api.create<StoredEvent>(eventsIn(namespace), eventObject(event, namespace, instance, new Date(now)));
      } catch (error) {
        told.delete(key);
        log(`cannot tell of "${event.reason}": ${messageOf(error)}`);
      }
    },
  };
}

const eventsIn = (namespace: string): CollectionPath => ({
  resource: { group: '', version: 'v1', plural: 'events' },
  namespace,
});

function forgetOldest(told: Map<string, number>): void {
  const [oldest] = told.keys();
  if (told.size >= MOST_REMEMBERED && oldest !== undefined) {
    told.delete(oldest);
  }
}

let last = 0;

/** https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1 in the form of core/v1, as Go's recorder writes it. */
function eventObject(
  { type, reason, message, regarding, component }: KubeEvent,
  namespace: string,
  instance: string,
  time: Date,
): StoredEvent {
  const stamp = time.toISOString().replace(/\.\d+Z$/, 'Z');
  const number = Math.max(time.getTime() * 1000, last + 1);
  last = number;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${regarding.name.slice(0, 200)}.${number.toString(16)}`, namespace },
    involvedObject: regarding,
    type,
    reason,
    message: message.slice(0, LONGEST_MESSAGE),
    firstTimestamp: stamp,
    lastTimestamp: stamp,
    count: 1,
    source: { component },
    reportingComponent: component,
    reportingInstance: instance,
  };
}
