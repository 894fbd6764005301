import type { JsonPatch, KubeApi } from '../../../lib/kube/api.ts';
import { networkOf } from '../../../lib/net/cidr.ts';
import { sameIp } from '../../../lib/net/ip.ts';
import {
  type IpPool,
  type IpReservation,
  poolAt,
  poolObject,
  poolsIn,
  reservationAt,
  reservationObject,
  reservationsIn,
} from '../cluster/objects.ts';
import { emptyPool, isWritable, type StoredPool } from '../cluster/stored-pool.ts';
import { keyOf, reservationName } from '../names.ts';
import { hasAddress, type PodFacts } from '../sweep/pods.ts';
import { sweptPool } from '../sweep/pools.ts';
import type { Unprotected } from '../sweep/reservations.ts';
import type { Unclaimed } from '../sweep/unclaimed.ts';
import { CONFLICT, deleteReservation, found, INVALID, NOT_FOUND, statusOf } from './asking.ts';

/** @returns false when it is another by now, or has been claimed again */
export async function removeReservation(api: KubeApi, seen: IpReservation): Promise<boolean> {
  const now = await found<IpReservation>(api, reservationAt(api.namespace, seen.metadata.name));
  const isSame =
    now?.metadata.uid === seen.metadata.uid && now?.metadata.resourceVersion === seen.metadata.resourceVersion;
  return now !== undefined && isSame && deleteReservation(api, now);
}

/** Whom the Go plugin would not know: which container it is, nobody can tell. The next ADD of the pod says it. */
const NOBODY = '';

/** Makes the reservation of an address whose pod is there, and has it as far as anybody can tell. */
export async function protectAddress(
  api: KubeApi,
  { name, held }: Unprotected,
  pod: PodFacts | undefined,
): Promise<'protected' | 'taken' | 'unneeded'> {
  if (pod === undefined || (pod.networks !== undefined && !hasAddress(pod, held.ip))) {
    return 'unneeded';
  }
  const { id, podref, ifname } = held.entry;
  return reserve(api, name, { id, podref, ifname });
}

async function reserve(
  api: KubeApi,
  name: string,
  { id, podref, ifname }: Required<IpPoolEntry>,
): Promise<'protected' | 'taken'> {
  const spec = { podref, ifname, containerid: id }; // kinds of old versions insist on it
  try {
    await api.create(reservationsIn(api.namespace), reservationObject(api.namespace, name, id, spec));
    return 'protected';
  } catch (error) {
    if (statusOf(error) !== CONFLICT) {
      throw error;
    }
    const other = await found<IpReservation>(api, reservationAt(api.namespace, name));
    return other === undefined || other.spec.podref === spec.podref ? 'protected' : 'taken';
  }
}

/**
 * Takes an address in its pool that a running pod has, before the pool gives it to another: first the reservation across
 * ranges, as everybody does.
 *
 * @param pod as it is now
 */
export async function claimAddress(
  api: KubeApi,
  { pod: seen, ifname, ip, network, pool: name }: Unclaimed,
  pod: PodFacts | undefined,
): Promise<'claimed' | 'taken' | 'unneeded'> {
  const isSame = pod?.uid === seen.uid && pod.phase === 'Running' && !pod.isLeaving;
  const hasIt = pod?.networks?.some((one) => one.ifname === ifname && one.ips.some((other) => sameIp(other, ip)));
  if (!isSame || hasIt !== true) {
    return 'unneeded';
  }
  const object = await found<IpPool>(api, poolAt(api.namespace, name));
  const pool = object === undefined ? emptyFor(name, network.ranges, ip) : sweptPool(object);
  if (pool === undefined || !isWritable(pool, ip.value)) {
    return 'unneeded';
  }
  const { podref } = seen;
  if (network.protectOverlaps) {
    const name = reservationName(network.networkName, ip);
    const reserved = await reserve(api, name, { id: NOBODY, podref, ifname });
    if (reserved === 'taken') {
      return 'taken';
    }
  }
  return (await take(api, pool, keyOf(pool.base, ip.value), { id: NOBODY, podref, ifname })) ? 'claimed' : 'taken';
}

function emptyFor(name: string, ranges: Unclaimed['network']['ranges'], ip: Unclaimed['ip']): StoredPool | undefined {
  const range = ranges.find(({ cidr }) => sameIp(networkOf({ ip, prefix: cidr.prefix }), networkOf(cidr)));
  return range === undefined ? undefined : emptyPool(name, range.cidr);
}

/** @returns false when somebody was faster */
async function take(api: KubeApi, pool: StoredPool, key: string, entry: Required<IpPoolEntry>): Promise<boolean> {
  const path = `/spec/allocations/${key}`;
  const map: JsonPatch = pool.hasAllocations
    ? []
    : [
        { op: 'test', path: '/spec/allocations', value: null },
        { op: 'add', path: '/spec/allocations', value: {} },
      ];
  const body: JsonPatch = [
    { op: 'test', path: '/spec/range', value: pool.rangeText },
    ...map,
    { op: 'test', path, value: null },
    { op: 'add', path, value: entry },
  ];
  try {
    if (pool.isThere) {
      await api.patch<IpPool>(poolAt(api.namespace, pool.name), { type: 'json', body });
    } else {
      const spec = { range: pool.rangeText, allocations: { [key]: entry } };
      await api.create(poolsIn(api.namespace), poolObject(api.namespace, pool.name, spec));
    }
    return true;
  } catch (error) {
    if ([NOT_FOUND, CONFLICT, INVALID].includes(statusOf(error) as 404)) {
      return false;
    }
    throw error;
  }
}

interface IpPoolEntry {
  readonly id?: string;
  readonly podref?: string;
  readonly ifname?: string;
}
