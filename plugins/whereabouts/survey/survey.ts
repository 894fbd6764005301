import { pluginConfsIn } from '../../../lib/cli/confs.ts';
import { messageOf } from '../../../lib/cni/errors.ts';
import { isObject, type JsonObject } from '../../../lib/cni/json.ts';
import { ApiError, type CollectionPath, type KubeObject } from '../../../lib/kube/api.ts';
import { formatCidr, masked } from '../../../lib/net/cidr.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import { type IpPool, type IpReservation, poolsIn, reservationsIn } from '../cluster/objects.ts';
import { cidrIn, isInside, type StoredPool, storedIn, storedPool } from '../cluster/stored-pool.ts';
import { type ClusterConfigured, configuredInCluster } from '../configured.ts';
import type { Cluster } from './clusters.ts';
import { identify, type PoolIdentity, type SliceTable } from './pool-names.ts';

/** What there is in a cluster. */
export interface Survey {
  readonly cluster: Cluster;
  readonly pools: readonly SurveyedPool[];
  /** of addresses across ranges; undefined when they cannot be read */
  readonly reservations: readonly IpReservation[] | undefined;
  /** the cluster does not know reservations across ranges at all */
  readonly lacksReservations: boolean;
  readonly tables: readonly SliceTable[];
  /** of the node, and of the cluster's own objects */
  readonly configured: readonly ClusterConfigured[];
  /** what cannot be read of it: one sentence each */
  readonly unreadable: readonly Unreadable[];
  /** what could not be asked, and what follows */
  readonly unasked: readonly string[];
}

export interface SurveyedPool extends PoolIdentity {
  readonly stored: StoredPool;
}

export interface Unreadable {
  readonly pool: string;
  readonly text: string;
}

const NADS: CollectionPath = {
  resource: { group: 'k8s.cni.cncf.io', version: 'v1', plural: 'network-attachment-definitions' },
  namespace: undefined,
};

interface Nad extends KubeObject {
  readonly spec?: { readonly config?: string };
}

/**
 * Reads all that is needed to show the pools of a cluster. Only pools must be readable.
 *
 * @param configured of this node
 * @throws ApiError
 */
export async function survey(cluster: Cluster, configured: readonly ClusterConfigured[]): Promise<Survey> {
  const { api, kubeconfigs } = cluster;
  const objects = await api.list<IpPool>(poolsIn(api.namespace));
  const [reservations, tables, nads] = await Promise.all([
    asked(api.list<IpReservation>(reservationsIn(api.namespace)), 'reservations across ranges are not known'),
    asked(api.list<SliceTable>(tablesIn(api.namespace)), 'slices are known by their pools only'),
    asked(api.list<Nad>(NADS), 'what is excluded is known from configurations of this machine only'),
  ]);
  const all = [
    ...configured.filter(({ kubeconfig }) => kubeconfigs.includes(kubeconfig)),
    ...configuredInCluster((nads.found ?? []).flatMap(confsIn), () => undefined),
  ];
  return {
    cluster,
    reservations: reservations.found,
    lacksReservations: reservations.isUnknownKind,
    tables: tables.found ?? [],
    configured: all,
    unasked: [reservations, tables, nads].flatMap(({ refusal }) => refusal),
    ...readPools(objects, tables.found ?? [], all),
  };
}

const tablesIn = (namespace: string): CollectionPath => ({
  resource: { ...poolsIn(namespace).resource, plural: 'nodeslicepools' },
  namespace,
});

const NOT_FOUND = 404;

/** A kind that the cluster does not have is nothing that could not be asked. */
async function asked<T>(answer: Promise<readonly T[]>, what: string) {
  try {
    return { found: await answer, refusal: [], isUnknownKind: false };
  } catch (error) {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    const isUnknownKind = error.status === NOT_FOUND;
    return { found: undefined, refusal: isUnknownKind ? [] : [`${messageOf(error)}: ${what}`], isUnknownKind };
  }
}

/** A configuration that is no JSON, or is in a file of the nodes, says nothing here. */
function confsIn({ spec }: Nad): readonly JsonObject[] {
  try {
    const document: unknown = JSON.parse(spec?.config ?? '');
    return isObject(document) ? pluginConfsIn(document) : [];
  } catch {
    return [];
  }
}

function readPools(
  objects: readonly IpPool[],
  tables: readonly SliceTable[],
  configured: readonly ClusterConfigured[],
): Pick<Survey, 'pools' | 'unreadable'> {
  const pools: SurveyedPool[] = [];
  const unreadable: Unreadable[] = [];
  for (const object of objects) {
    const { name } = object.metadata;
    const cidr = cidrIn(object);
    const range = cidr && masked(cidr);
    const identity = range && identify(name, range, tables, configured);
    if (range === undefined || identity === undefined) {
      const why = range === undefined ? 'which is no range' : 'and pools of it have another name';
      unreadable.push({
        pool: name,
        text: `pool "${name}" is used by nobody: its range is "${object.spec.range}", ${why}`,
      });
    } else {
      const stored = storedPool(object, range, identity.node);
      pools.push({ ...identity, stored });
      unreadable.push(...strangersIn(object, stored));
    }
  }
  return { pools, unreadable };
}

/** Entries whose keys lead nowhere, or out of the range. */
function strangersIn({ metadata: { name: pool }, spec }: IpPool, stored: StoredPool): readonly Unreadable[] {
  const known = new Map(storedIn(stored).map((one) => [one.key, one]));
  return Object.entries(spec.allocations ?? {}).flatMap(([key, { id = '', podref = '' }]): readonly Unreadable[] => {
    const one = known.get(key);
    const who = podref === '' ? `container ${id}` : podref;
    if (one === undefined) {
      return [{ pool, text: `key "${key}" of ${who} is no address: others drop it when they write the pool` }];
    }
    return isInside(stored, one)
      ? []
      : [{ pool, text: `${formatIp(one.held.ip)} of ${who} is not in range ${formatCidr(stored.cidr)}` }];
  });
}
