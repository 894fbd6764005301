import { messageOf } from '../../../lib/cni/errors.ts';
import type { CollectionPath, KubeObject } from '../../../lib/kube/api.ts';
import type { WatchApi } from '../../../lib/kube/watch.ts';
import { type IpPool, type IpReservation, poolsIn, reservationsIn } from '../cluster/objects.ts';
import type { StoredPool } from '../cluster/stored-pool.ts';
import { ALL_NADS, type ClusterNetwork, type NadObject, networksOf } from '../sweep/networks.ts';
import { type PodFacts, type PodObject, podFacts } from '../sweep/pods.ts';
import { sweptPool } from '../sweep/pools.ts';
import { NOT_FOUND, statusOf } from './asking.ts';

export const ALL_PODS: CollectionPath = {
  resource: { group: '', version: 'v1', plural: 'pods' },
  namespace: undefined,
};

/** One pool may have 1.5 MB. */
const POOLS_IN_PAGE = 20;

/** Pods that have not ended: the server sorts the others out. */
const NOT_ENDED = 'status.phase!=Succeeded,status.phase!=Failed';

/** What a cluster says of its addresses at one moment. */
export interface Look {
  readonly pools: readonly StoredPool[];
  readonly reservations: readonly IpReservation[];
  readonly networks: readonly ClusterNetwork[];
  /** by `namespace/name` */
  readonly pods: ReadonlyMap<string, PodFacts>;
}

export interface Looking {
  readonly api: WatchApi;
  /** are pods that have ended as good as gone? */
  readonly isEndEnough: boolean;
  readonly flatFiles: readonly string[];
  log(line: string): void;
}

/**
 * Reads pools, then reservations, then pods: whoever reserves does so in the other order, and is not taken for an orphan. Of
 * pods only what is needed is kept.
 *
 * @throws ApiError
 */
export async function look({ api, isEndEnough, flatFiles, log }: Looking): Promise<Look> {
  const nads = await readNads(api, log);
  const { networks, faults } = networksOf(nads, flatFiles);
  faults.forEach(log);
  const pools = await readPools(api, log);
  const reservations = await all<IpReservation>(api, reservationsIn(api.namespace));
  const pods = new Map<string, PodFacts>();
  const selection = { isMetadataOnly: true, ...(isEndEnough ? { fieldSelector: NOT_ENDED } : {}) };
  await api.each<PodObject>(ALL_PODS, selection, (pod) => {
    const facts = podFacts(pod);
    pods.set(facts.podref, facts);
  });
  return { pools, reservations, networks, pods };
}

/** Pools whose range is none are left out, and told. */
export async function readPools(api: WatchApi, log: (line: string) => void): Promise<readonly StoredPool[]> {
  const pools: StoredPool[] = [];
  await api.each<IpPool>(poolsIn(api.namespace), { pageSize: POOLS_IN_PAGE }, (object) => {
    const pool = sweptPool(object);
    if (pool === undefined) {
      log(`passes over pool "${object.metadata.name}": its range is "${object.spec.range}"`);
    } else {
      pools.push(pool);
    }
  });
  return pools;
}

/** The pods that pools name, without keeping the pools. */
export async function readHolders(api: WatchApi): Promise<ReadonlySet<string>> {
  const podrefs = new Set<string>();
  await api.each<IpPool>(poolsIn(api.namespace), { pageSize: POOLS_IN_PAGE }, ({ spec }) => {
    for (const { podref = '' } of Object.values(spec.allocations ?? {})) {
      podrefs.add(podref);
    }
  });
  return podrefs;
}

async function all<T extends KubeObject>(api: WatchApi, path: CollectionPath): Promise<readonly T[]> {
  const objects: T[] = [];
  await api.each<T>(path, {}, (object) => objects.push(object));
  return objects;
}

/** A cluster need not know NetworkAttachmentDefinitions: then nothing is told of networks. */
async function readNads(api: WatchApi, log: (line: string) => void): Promise<readonly NadObject[]> {
  try {
    return await all<NadObject>(api, ALL_NADS);
  } catch (error) {
    if (statusOf(error) !== NOT_FOUND) {
      throw error;
    }
    log(messageOf(error));
    return [];
  }
}
