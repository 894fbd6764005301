import { ApiError, type CollectionPath, type KubeApi, type KubeObject } from '../../../lib/kube/api.ts';

const [NOT_FOUND, CONFLICT, INVALID] = [404, 409, 422];

/** coordination.k8s.io/v1. Times have six digits after the second, which others demand. */
export interface LeaseObject extends KubeObject {
  readonly spec?: LeaseSpec;
}

export interface LeaseSpec {
  /** absent: nobody */
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

const leasesIn = (namespace: string): CollectionPath => ({
  resource: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' },
  namespace,
});

/** RFC 3339, with the six digits after the second that Go demands. */
export const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

/** @throws ApiError */
export async function readLease(api: KubeApi, name: string): Promise<LeaseObject | undefined> {
  try {
    return await api.get<LeaseObject>({ ...leasesIn(api.namespace), name });
  } catch (error) {
    if (error instanceof ApiError && error.status === NOT_FOUND) {
      return undefined;
    }
    throw error;
  }
}

/** @returns undefined when somebody else was faster. @throws ApiError */
export const createLease = (api: KubeApi, name: string, spec: LeaseSpec): Promise<LeaseObject | undefined> =>
  refusable([CONFLICT], () =>
    api.create<LeaseObject>(leasesIn(api.namespace), {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace: api.namespace },
      spec,
    }),
  );

/** Only if it is what was seen. @returns undefined when it is not. @throws ApiError */
export const changeLease = (
  api: KubeApi,
  name: string,
  version: string,
  spec: LeaseSpec,
): Promise<LeaseObject | undefined> =>
  refusable([NOT_FOUND, CONFLICT, INVALID], () =>
    api.patch<LeaseObject>(
      { ...leasesIn(api.namespace), name },
      {
        type: 'json',
        body: [
          { op: 'test', path: '/metadata/resourceVersion', value: version },
          { op: 'add', path: '/spec', value: spec },
        ],
      },
    ),
  );

async function refusable<T>(statuses: readonly number[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiError && statuses.includes(error.status ?? 0)) {
      return undefined;
    }
    throw error;
  }
}
