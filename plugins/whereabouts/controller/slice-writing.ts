import { messageOf } from '../../../lib/cni/errors.ts';
import type { CollectionPath, JsonPatch, KubeApi, KubeObject } from '../../../lib/kube/api.ts';
import { formatCidr, overlaps, parseCidr } from '../../../lib/net/cidr.ts';
import { type NodeSlicePool, slicePoolAt } from '../cluster/objects.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import type { Allocation } from '../sweep/slice-plan.ts';
import type { WantedSlices } from '../sweep/slice-pools.ts';
import { CONFLICT, NOT_FOUND, statusOf } from './asking.ts';

/** A NetworkAttachmentDefinition in the same namespace. */
export interface Owner {
  readonly name: string;
  readonly uid: string;
}

export function slicePoolsIn(namespace: string): CollectionPath {
  const { resource } = slicePoolAt(namespace, '');
  return { resource, namespace };
}

const API_VERSION = 'whereabouts.cni.cncf.io/v1alpha1';

type Owned = NodeSlicePool & { readonly metadata: { readonly ownerReferences?: readonly object[] } };

/**
 * Writes what was decided on what was seen: refused when somebody has written meanwhile, and then decided anew.
 *
 * @param seen undefined: there was none
 * @returns false when all was so already
 * @throws ApiError
 */
export async function writeSlicePool(
  api: KubeApi,
  seen: NodeSlicePool | undefined,
  { name, range, size, sizeText }: WantedSlices,
  allocations: readonly Allocation[],
  owners: readonly Owner[],
): Promise<boolean> {
  const sliceSize = Number(sizeText.replace('/', '')) === size ? sizeText : `/${size}`;
  const spec = { range: formatCidr(range), sliceSize };
  const ownerReferences = owners.map(ownerReference);
  if (seen === undefined) {
    const metadata = { name, namespace: api.namespace, ...(owners.length === 0 ? {} : { ownerReferences }) };
    const object: Owned = { apiVersion: API_VERSION, kind: 'NodeSlicePool', metadata, spec, status: { allocations } };
    await api.create<Owned>(slicePoolsIn(api.namespace), object);
    return true;
  }
  const had = (seen as Owned).metadata.ownerReferences ?? [];
  const isOwned = isSame(had.map(uidOf), ownerReferences.map(uidOf));
  if (isOwned && isSame(textsIn(seen.spec, seen.status?.allocations ?? []), textsIn(spec, allocations))) {
    return false;
  }
  const body: JsonPatch = [
    { op: 'test', path: '/metadata/resourceVersion', value: seen.metadata.resourceVersion },
    { op: 'add', path: '/spec', value: spec },
    { op: 'add', path: '/status', value: { allocations } },
    ...(isOwned ? [] : [{ op: 'add' as const, path: '/metadata/ownerReferences', value: ownerReferences }]),
  ];
  await api.patch<KubeObject>(slicePoolAt(api.namespace, name), { type: 'json', body });
  return true;
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const uidOf = (reference: object): unknown => ('uid' in reference ? reference.uid : undefined);

/** Objects come with their members in any order. */
const textsIn = (
  { range, sliceSize }: NodeSlicePool['spec'],
  allocations: readonly Allocation[],
): readonly string[] => [
  range,
  sliceSize,
  ...allocations.map(({ nodeName, sliceRange }) => `${nodeName} ${sliceRange}`),
];

/** The first one is the controller, as with Go. */
const ownerReference = ({ name, uid }: Owner, index: number): object => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  name,
  uid,
  ...(index === 0 ? { controller: true } : {}),
});

/** Deletes one that no network wants any more, as soon as nobody holds an address of its range. */
export async function dropSlicePool(
  { api, log }: { readonly api: KubeApi; log(line: string): void },
  { metadata: { name, uid, resourceVersion }, spec }: NodeSlicePool,
  pools: readonly StoredPool[],
): Promise<void> {
  const range = parseCidr(spec.range);
  if (range === undefined || pools.some((pool) => storedIn(pool).length > 0 && overlaps(pool.cidr, range))) {
    return;
  }
  try {
    await api.delete(slicePoolAt(api.namespace, name), {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    });
    log(`NodeSlicePool "${name}" is deleted: no network wants it`);
  } catch (error) {
    if (![NOT_FOUND, CONFLICT].includes(statusOf(error) as 404)) {
      log(`cannot delete NodeSlicePool "${name}": ${messageOf(error)}`);
    }
  }
}
