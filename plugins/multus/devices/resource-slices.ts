/** Objects of dynamic resource allocation, as far as devices of networks need them. */
import type { KubeApi, KubeObject, Resource } from '../../../lib/kube/api.ts';

export const CLAIMS: Resource = { group: 'resource.k8s.io', version: 'v1', plural: 'resourceclaims' };
const SLICES: Resource = { group: 'resource.k8s.io', version: 'v1', plural: 'resourceslices' };

/** What a driver says of a device that is good for networks. */
const ATTRIBUTES = { deviceId: 'k8s.cni.cncf.io/deviceID', resource: 'k8s.cni.cncf.io/resourceName' } as const;

/** https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#devicerequestallocationresult-v1-resource-k8s-io */
export interface ClaimedDevice {
  /** `<request>`, or `<request>/<subrequest>` */
  readonly request: string;
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  /** to look at it: somebody else may have it */
  readonly adminAccess?: boolean;
}

export interface ResourceClaim extends KubeObject {
  readonly status?: { readonly allocation?: { readonly devices?: { readonly results?: readonly ClaimedDevice[] } } };
}

interface ResourceSlice extends KubeObject {
  readonly spec?: {
    readonly driver?: string;
    readonly pool?: { readonly name?: string; readonly generation?: number };
    readonly devices?: readonly {
      readonly name: string;
      readonly attributes?: Readonly<Record<string, { readonly string?: string } | undefined>>;
    }[];
  };
}

/** A device for networks. Either is undefined where its driver does not say it. */
export interface NetworkDevice {
  readonly deviceId: string | undefined;
  readonly resource: string | undefined;
}

/** Devices by driver, pool and name. */
export type KnownDevices = (device: ClaimedDevice) => NetworkDevice | undefined;

/** @throws ApiError; the reason of the signal */
export async function knownDevices(api: KubeApi, nodeName: string, drivers: Iterable<string>): Promise<KnownDevices> {
  const lists = await Promise.all(
    [...new Set(drivers)].map((driver) =>
      api.list<ResourceSlice>(
        { resource: SLICES, namespace: undefined },
        { fieldSelector: `spec.nodeName=${nodeName},spec.driver=${driver}` },
      ),
    ),
  );
  const known = new Map(newest(lists.flat()).flatMap(devicesIn));
  return ({ driver, pool, device }) => known.get(keyOf(driver, pool, device));
}

/** While a driver publishes its pool anew, slices of the old generation are there too. */
function newest(slices: readonly ResourceSlice[]): readonly ResourceSlice[] {
  const poolOf = ({ spec }: ResourceSlice): string => keyOf(spec?.driver, spec?.pool?.name);
  const generationOf = ({ spec }: ResourceSlice): number => spec?.pool?.generation ?? 0;
  const latest = new Map<string, number>();
  for (const slice of slices) {
    latest.set(poolOf(slice), Math.max(generationOf(slice), latest.get(poolOf(slice)) ?? 0));
  }
  return slices.filter((slice) => generationOf(slice) === latest.get(poolOf(slice)));
}

const devicesIn = ({ spec }: ResourceSlice): readonly (readonly [key: string, device: NetworkDevice])[] =>
  (spec?.devices ?? []).map(({ name, attributes }) => [
    keyOf(spec?.driver, spec?.pool?.name, name),
    { deviceId: attributes?.[ATTRIBUTES.deviceId]?.string, resource: attributes?.[ATTRIBUTES.resource]?.string },
  ]);

/** Names of pools have slashes in them. */
const keyOf = (...parts: readonly (string | undefined)[]): string => JSON.stringify(parts);
