/** An API server for tests that has claims and slices. */
import { ApiError, type KubeApi, type KubeObject } from '../../../../lib/kube/api.ts';

export interface FakeClaims {
  readonly api: KubeApi;
  /** `GET demo/net`, `LIST spec.nodeName=n1,spec.driver=d` */
  readonly requests: readonly string[];
}

export type Result = readonly [request: string, driver: string, pool: string, device: string, isAdmin?: boolean];

export const claim = (name: string, results: readonly Result[] | undefined): KubeObject => {
  const devices = results?.map(([request, driver, pool, device, adminAccess]) => ({
    request,
    driver,
    pool,
    device,
    ...(adminAccess && { adminAccess }),
  }));
  return { metadata: { name }, ...{ status: devices && { allocation: { devices: { results: devices } } } } };
};

export interface SliceParts {
  readonly driver?: string;
  readonly node?: string;
  readonly pool?: string;
  readonly generation?: number;
  /** name, then ID and resource where the driver says them */
  readonly devices: readonly (readonly [name: string, deviceId?: string, resource?: string])[];
}

export const slice = ({ driver = 'd', node = 'n1', pool = 'p', generation = 1, devices }: SliceParts): KubeObject => ({
  metadata: { name: `${node}-${driver}` },
  ...{
    spec: {
      driver,
      nodeName: node,
      pool: { name: pool, generation, resourceSliceCount: 1 },
      devices: devices.map(([name, deviceId, resource]) => ({
        name,
        attributes: {
          'example.com/model': { string: 'x' },
          'example.com/index': { int: 3 },
          ...(deviceId && { 'k8s.cni.cncf.io/deviceID': { string: deviceId } }),
          ...(resource && { 'k8s.cni.cncf.io/resourceName': { string: resource } }),
        },
      })),
    },
  },
});

type WithSpec = KubeObject & { readonly spec?: { readonly driver: string; readonly nodeName: string } };

/** @param claims in namespace demo */
export function fakeClaims(claims: readonly KubeObject[], slices: readonly KubeObject[]): FakeClaims {
  const requests: string[] = [];
  const unasked = (): never => {
    throw new Error('nothing else is asked');
  };
  const api: KubeApi = {
    namespace: 'kube-system',
    get: async <T extends KubeObject>({ resource, namespace, name }: Parameters<KubeApi['get']>[0]): Promise<T> => {
      requests.push(`GET ${namespace}/${name}`);
      const found = claims.find(({ metadata }) => metadata.name === name);
      if (resource.plural !== 'resourceclaims' || namespace !== 'demo' || found === undefined) {
        throw new ApiError(`cannot get ${resource.plural} "${name}": not found (404 NotFound)`, {
          status: 404,
          reason: 'NotFound',
        });
      }
      return found as T;
    },
    list: async <T extends KubeObject>(
      _: Parameters<KubeApi['list']>[0],
      { fieldSelector = '' }: Parameters<KubeApi['list']>[1] = {},
    ): Promise<readonly T[]> => {
      requests.push(`LIST ${fieldSelector}`);
      return (slices as readonly WithSpec[]).filter(
        ({ spec }) => `spec.nodeName=${spec?.nodeName},spec.driver=${spec?.driver}` === fieldSelector,
      ) as unknown as readonly T[];
    },
    create: unasked,
    replace: unasked,
    patch: unasked,
    delete: unasked,
  };
  return { api, requests };
}
