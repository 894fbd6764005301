/** Objects of a cluster, made as those would who are not there: kubelets, controllers, users. */
import { eventually } from '../lab/eventually.ts';
import type { Cluster } from './cluster.ts';
import { expectSuccess } from './request.ts';

const WATCH_PATIENCE_MS = 60_000;

interface Made {
  readonly metadata: { readonly name: string; readonly uid: string };
}

export async function createNamespace({ send }: Cluster, name: string): Promise<void> {
  await expectSuccess(send('/api/v1/namespaces', { method: 'POST', body: { metadata: { name } } }));
}

export interface PodWanted {
  readonly name: string;
  readonly namespace?: string;
  readonly node?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** what a kubelet would say */
  readonly status?: object;
}

/** @returns its uid */
export async function createPod(
  { send }: Cluster,
  { name, namespace = 'default', node, annotations = {}, labels = {}, status }: PodWanted,
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const { metadata } = await expectSuccess<Made>(
    send(path, {
      method: 'POST',
      body: {
        metadata: { name, annotations, labels },
        spec: {
          containers: [{ name: 'main', image: 'none' }],
          ...(node === undefined ? {} : { nodeName: node }),
        },
      },
    }),
  );
  if (status !== undefined) {
    await setPodStatus({ send }, { name, namespace }, status);
  }
  return metadata.uid;
}

export async function setPodStatus(
  { send }: Pick<Cluster, 'send'>,
  { name, namespace = 'default' }: Pick<PodWanted, 'name' | 'namespace'>,
  status: object,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
  await expectSuccess(send(path, { method: 'PATCH', body: { status }, contentType: 'application/merge-patch+json' }));
}

/** At once: no kubelet will say that it has ended. */
export async function deletePod(
  { send }: Cluster,
  { name, namespace = 'default' }: Pick<PodWanted, 'name' | 'namespace'>,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`;
  await expectSuccess(send(path, { method: 'DELETE' }));
}

export async function createServiceAccount({ send }: Cluster, name: string, namespace = 'kube-system'): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await expectSuccess(send(path, { method: 'POST', body: { metadata: { name } } }));
}

/**
 * A token of a service account, as a kubelet would give it to a pod.
 *
 * @param spec what it is bound to, say
 */
export async function serviceAccountToken(
  { send }: Cluster,
  name: string,
  namespace = 'kube-system',
  spec: object = {},
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const { status } = await expectSuccess<{ readonly status: { readonly token: string } }>(
    send(path, { method: 'POST', body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec } }),
  );
  return status.token;
}

const SECRETS = '/api/v1/namespaces/kube-system/secrets';

/** A token of an account in kube-system that can be made void. */
export async function voidableToken(
  cluster: Cluster,
  account: string,
): Promise<{ readonly token: string; revoke(): Promise<void> }> {
  const { metadata } = await expectSuccess<Made>(
    cluster.send(SECRETS, { method: 'POST', body: { metadata: { generateName: 'token-' } } }),
  );
  const boundObjectRef = { kind: 'Secret', apiVersion: 'v1', name: metadata.name, uid: metadata.uid };
  const token = await serviceAccountToken(cluster, account, 'kube-system', { boundObjectRef });
  const revoke = async (): Promise<void> => {
    await expectSuccess(cluster.send(`${SECRETS}/${metadata.name}`, { method: 'DELETE' }));
  };
  return { token, revoke };
}

/**
 * Does something and waits until somebody has begun to watch because of it: from then on no change is missed. Nobody else
 * may begin or end meanwhile.
 *
 * @param plurals what is watched then
 */
export async function untilWatched(cluster: Cluster, plurals: readonly string[], begin: () => void): Promise<void> {
  const watches = (): Promise<readonly number[]> => Promise.all(plurals.map((plural) => watchesOf(cluster, plural)));
  const before = await watches();
  begin();
  await eventually(
    async () => (await watches()).every((count, index) => count > (before[index] ?? 0)),
    true,
    WATCH_PATIENCE_MS,
  );
}

/** As the server counts them. */
async function watchesOf({ send }: Cluster, plural: string): Promise<number> {
  const text = await expectSuccess<string>(send('/metrics'));
  return text
    .split('\n')
    .filter((line) => line.startsWith('apiserver_longrunning_requests{') && /verb="WATCH"/.test(line))
    .filter((line) => line.includes(`resource="${plural}"`))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
