/** What makes pods: Deployments, StatefulSets and Jobs of the namespace `default`. */
import { expectSuccess } from '../cluster/request.ts';
import type { Kubernetes } from './kubernetes.ts';
import { isReady, NETWORKS, type PodObject, type PodWanted, podSpec, removePods, untilPods } from './pods.ts';

const PATHS = {
  Deployment: '/apis/apps/v1/namespaces/default/deployments',
  StatefulSet: '/apis/apps/v1/namespaces/default/statefulsets',
  Job: '/apis/batch/v1/namespaces/default/jobs',
} as const;

export type Kind = keyof typeof PATHS;

const templateOf = (name: string, networks: string, more: object = {}) => ({
  metadata: { labels: { app: name }, annotations: { [NETWORKS]: networks } },
  spec: { ...podSpec(), ...more },
});

/** Makes a Deployment or a StatefulSet without pods: see `scale`. */
export async function createReplicas(
  { cluster }: Kubernetes,
  kind: 'Deployment' | 'StatefulSet',
  name: string,
  networks: string,
  wanted: Omit<PodWanted, 'name'> = {},
): Promise<void> {
  const template = templateOf(name, networks, podSpec(wanted));
  const set = kind === 'StatefulSet' ? { serviceName: name, podManagementPolicy: 'Parallel' } : {};
  await expectSuccess(
    cluster.send(PATHS[kind], {
      method: 'POST',
      body: {
        metadata: { name },
        spec: { replicas: 0, selector: { matchLabels: { app: name } }, template, ...set },
      },
    }),
  );
}

/** Sets how many pods there shall be, and waits until just so many are there, and ready. */
export async function scale(
  kubernetes: Kubernetes,
  kind: 'Deployment' | 'StatefulSet',
  name: string,
  replicas: number,
): Promise<readonly PodObject[]> {
  await expectSuccess(
    kubernetes.cluster.send(`${PATHS[kind]}/${name}`, {
      method: 'PATCH',
      body: { spec: { replicas } },
      contentType: 'application/merge-patch+json',
    }),
  );
  return untilPods(kubernetes, `${replicas} pods of ${name} to be ready`, (all) => {
    const pods = podsOf(all, name);
    return pods.length === replicas && pods.every(isReady) ? pods : undefined;
  });
}

/** Runs a Job whose pods end by themselves, until all have. */
export async function runJob(
  kubernetes: Kubernetes,
  name: string,
  networks: string,
  completions: number,
): Promise<readonly PodObject[]> {
  const { containers, ...spec } = podSpec();
  const ending = containers.map((container) => ({ ...container, args: ['job'] }));
  const template = templateOf(name, networks, { ...spec, containers: ending, restartPolicy: 'Never' });
  await expectSuccess(
    kubernetes.cluster.send(PATHS.Job, {
      method: 'POST',
      body: { metadata: { name }, spec: { completions, parallelism: completions, template } },
    }),
  );
  return untilPods(kubernetes, `the pods of ${name} to have ended`, (all) => {
    const pods = podsOf(all, name).filter(({ status }) => status.phase === 'Succeeded');
    return pods.length === completions ? pods : undefined;
  });
}

/** Deletes one with its pods, and waits until these are gone. */
export async function remove(kubernetes: Kubernetes, kind: Kind, name: string): Promise<void> {
  const path = `${PATHS[kind]}/${name}?propagationPolicy=Background`;
  await expectSuccess(kubernetes.cluster.send(path, { method: 'DELETE' }));
  await untilPods(kubernetes, `the pods of ${name} to be gone`, (all) =>
    podsOf(all, name).length === 0 ? true : undefined,
  );
}

/** Deletes all pods and what makes pods, whatever a test has left, and waits until the API has none. */
export async function removeAll(kubernetes: Kubernetes): Promise<void> {
  for (const path of [...Object.values(PATHS), '/apis/apps/v1/namespaces/default/replicasets']) {
    await expectSuccess(kubernetes.cluster.send(`${path}?propagationPolicy=Background`, { method: 'DELETE' }));
  }
  await removePods(kubernetes);
}

const podsOf = (all: readonly PodObject[], name: string): readonly PodObject[] =>
  all.filter(({ metadata }) => metadata.labels?.['app'] === name);
