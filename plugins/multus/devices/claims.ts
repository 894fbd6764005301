import { CniError } from '../../../lib/cni/errors.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import type { Clock } from '../../../lib/sys/clock.ts';
import type { PodObject } from '../cluster/objects.ts';
import { type Allocated, type Allocation, allocationOf } from './allocation.ts';
import { CLAIMS, type ClaimedDevice, type KnownDevices, knownDevices, type ResourceClaim } from './resource-slices.ts';

/** For all requests together. */
const TIMEOUT_MS = 20_000;

export interface Claims {
  readonly api: KubeApi;
  readonly pod: PodObject;
  /** resources that networks want: whatever else the pod claims, such as GPUs, is no concern of ours */
  readonly wanted: ReadonlySet<string>;
  readonly warn: (message: string) => void;
}

/** Has a pod claims (DRA)? */
export const hasClaims = (pod: PodObject): boolean =>
  namedClaims(pod).length > 0 || pod.status?.extendedResourceClaimStatus !== undefined;

/**
 * The devices that a pod claims (resource.k8s.io/v1): those of its claims in the order of its specification, then those of
 * its extended resources. A claim's devices have the order in which they were allocated, that of the claim's requests.
 *
 * @throws CniError when a claim has no allocation, or one of an extended resource that is wanted cannot be resolved;
 * ApiError; the reason of the signal
 */
export async function claimedDevices({ sleep }: Clock, claims: Claims): Promise<Allocation> {
  const late = sleep(TIMEOUT_MS).then(() => {
    throw new CniError('internal', `cannot look up the pod's resource claims: not done within ${TIMEOUT_MS / 1000} s`);
  });
  late.catch(() => undefined); // nobody waits for it any more
  return Promise.race([allClaimed(claims), late]);
}

async function allClaimed({ api, pod, wanted, warn }: Claims): Promise<Allocation> {
  const extended = pod.status?.extendedResourceClaimStatus;
  const mappings = (extended?.requestMappings ?? []).filter(({ resourceName }) => wanted.has(resourceName));
  const names = namedClaims(pod);
  const [ofExtended = [], ...ofNames] = await Promise.all([
    extended === undefined || mappings.length === 0 ? [] : devicesOf(api, pod, extended.resourceClaimName),
    ...names.map((name) => devicesOf(api, pod, name)),
  ]);
  const all = [...ofNames.flat(), ...ofExtended];
  if (all.length === 0) {
    return new Map();
  }
  const nodeName = pod.spec?.nodeName ?? '';
  if (nodeName === '') {
    throw new CniError('internal', 'cannot look up the devices of resource claims: the pod is on no node');
  }
  const known = await knownDevices(
    api,
    nodeName,
    all.map(({ driver }) => driver),
  );
  return allocationOf([
    ...ofNames.flat().flatMap((device) => allocatedAs(known, device, warn)),
    ...mappings.flatMap((mapping) => allocatedTo(known, ofExtended, mapping)),
  ]);
}

/** Names of objects. A claim without one in the status needed none. */
function namedClaims({ spec, status }: PodObject): readonly string[] {
  const made = status?.resourceClaimStatuses ?? [];
  const ofSpec = (spec?.resourceClaims ?? []).map(
    ({ name, resourceClaimName }) => resourceClaimName ?? made.find((one) => one.name === name)?.resourceClaimName,
  );
  const names = [...ofSpec, ...made.map(({ resourceClaimName }) => resourceClaimName)];
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))] as readonly string[];
}

async function devicesOf(api: KubeApi, pod: PodObject, name: string): Promise<readonly ClaimedDevice[]> {
  const namespace = pod.metadata.namespace ?? '';
  const claim = await api.get<ResourceClaim>({ resource: CLAIMS, namespace, name });
  const results = claim.status?.allocation?.devices?.results;
  if (results === undefined) {
    throw new CniError('internal', `cannot use resource claim "${name}" in "${namespace}": no devices are allocated`);
  }
  return results.filter(({ adminAccess }) => adminAccess !== true);
}

const nameOf = ({ driver, pool, device }: ClaimedDevice): string => `${driver}/${pool}/${device}`;

function allocatedAs(
  known: KnownDevices,
  device: ClaimedDevice,
  warn: (message: string) => void,
): readonly Allocated[] {
  const { deviceId = '', resource = '' } = known(device) ?? {};
  if (deviceId === '' || resource === '') {
    warn(`device ${nameOf(device)} of a resource claim is not for networks: its driver names no ID or no resource`);
    return [];
  }
  return [{ resource, ids: [deviceId] }];
}

type Mapping = { readonly resourceName: string; readonly requestName: string };

/** The devices of an extended resource that a network wants: nobody would notice if another one's were taken. */
function allocatedTo(
  known: KnownDevices,
  devices: readonly ClaimedDevice[],
  { resourceName, requestName }: Mapping,
): readonly Allocated[] {
  const refused = (why: string): CniError =>
    new CniError('internal', `cannot use extended resource "${resourceName}" of the pod: ${why}`);
  const own = devices.filter(({ request }) => request === requestName || request.startsWith(`${requestName}/`));
  if (own.length === 0) {
    throw refused(`no device is allocated to request "${requestName}"`);
  }
  return own.map((device) => {
    const { deviceId = '', resource = '' } = known(device) ?? {};
    if (deviceId === '' || resource !== resourceName) {
      const found = deviceId === '' ? 'it has no ID' : `it is of resource "${resource}"`;
      throw refused(`device ${nameOf(device)} is not for it: ${found}`);
    }
    return { resource, ids: [deviceId] };
  });
}
