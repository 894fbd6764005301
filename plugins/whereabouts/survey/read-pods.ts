import { messageOf } from '../../../lib/cni/errors.ts';
import { ApiError, type CollectionPath, type KubeApi } from '../../../lib/kube/api.ts';
import { inParallel } from '../cluster/context.ts';
import { type PodFacts, type PodObject, podFacts, podNamed } from '../sweep/pods.ts';

/** What is known of a pod that an entry names. */
export type PodKnown = PodFacts | 'absent' | 'unknown';

export interface Pods {
  of(podref: string): PodKnown;
  /** what could not be asked, and what follows */
  readonly unasked: readonly string[];
}

const podsIn = (namespace: string): CollectionPath => ({
  resource: { group: '', version: 'v1', plural: 'pods' },
  namespace,
});

/** All pods of the namespaces that the entries name. */
export async function listPods(api: KubeApi, podrefs: Iterable<string>): Promise<Pods> {
  const namespaces = new Set([...podrefs].flatMap((podref) => podNamed(podref)?.namespace ?? []));
  const facts = new Map<string, PodFacts>();
  const read = new Set<string>();
  const unasked: string[] = [];
  await inParallel([...namespaces], async (namespace) => {
    try {
      for (const pod of await api.list<PodObject>(podsIn(namespace))) {
        const one = podFacts(pod);
        facts.set(one.podref, one);
      }
      read.add(namespace);
    } catch (error) {
      unasked.push(`${reasonOf(error)}: whether pods of "${namespace}" still use their addresses is not checked`);
    }
  });
  const isRead = (podref: string): boolean => read.has(podNamed(podref)?.namespace ?? '');
  return { of: (podref) => facts.get(podref) ?? (isRead(podref) ? 'absent' : 'unknown'), unasked };
}

const NOT_FOUND = 404;

/** These pods, each asked for by its name: what is there at this moment. */
export async function lookAtPods(api: KubeApi, podrefs: Iterable<string>): Promise<Pods> {
  const facts = new Map<string, PodFacts | 'absent'>();
  const unasked = new Set<string>();
  await inParallel([...new Set(podrefs)], async (podref) => {
    const pod = podNamed(podref);
    if (pod === undefined) {
      return;
    }
    try {
      facts.set(podref, podFacts(await api.get<PodObject>({ ...podsIn(pod.namespace), name: pod.name })));
    } catch (error) {
      if (error instanceof ApiError && error.status === NOT_FOUND) {
        facts.set(podref, 'absent');
      } else {
        unasked.add(`${reasonOf(error)}: whether it still uses its addresses is not checked`);
      }
    }
  });
  return { of: (podref) => facts.get(podref) ?? 'unknown', unasked: [...unasked] };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof ApiError)) {
    throw error;
  }
  return messageOf(error);
}
