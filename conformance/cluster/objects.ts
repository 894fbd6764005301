/** Objects of a cluster, made as those would who are not there: kubelets, controllers, users. */
import type { Cluster } from './cluster.ts';
import { expectSuccess } from './request.ts';

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

/** A token of a service account, as a kubelet would give it to a pod. */
export async function serviceAccountToken({ send }: Cluster, name: string, namespace = 'kube-system'): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const { status } = await expectSuccess<{ readonly status: { readonly token: string } }>(
    send(path, { method: 'POST', body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} } }),
  );
  return status.token;
}
