/** What deleted pods had, and how it is freed: each pool is read once, and patched once. */
import { messageOf } from '../../../lib/cni/errors.ts';
import type { WatchApi } from '../../../lib/kube/watch.ts';
import { contains } from '../../../lib/net/cidr.ts';
import { type Ip, sameIp } from '../../../lib/net/ip.ts';
import type { Clock } from '../../../lib/sys/clock.ts';
import { type IpPool, type IpReservation, poolAt, reservationAt, reservationsIn } from '../cluster/objects.ts';
import type { Stored } from '../cluster/pool-entries.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { poolName, reservationName } from '../names.ts';
import { NETWORK_STATUS, networkStatusOf, type ReportedNetwork } from '../sweep/network-status.ts';
import { type ClusterNetwork, isPoolOf } from '../sweep/networks.ts';
import { possibleNetworks, sweptPool } from '../sweep/pools.ts';
import { deleteReservation, found } from './asking.ts';
import { freeEntries } from './free-entries.ts';
import { LivePods } from './live-pods.ts';
import { readPools } from './look.ts';

export interface GonePod {
  readonly podref: string;
  /** what multus said of it; undefined: not known, so whatever it holds is meant */
  readonly status: string | undefined;
}

export interface Freed {
  readonly ip: Ip;
  /** for people */
  readonly nad: string;
}

export type Outcome =
  | { readonly status: 'freed'; readonly addresses: readonly Freed[] }
  /** some of it is kept for now */
  | { readonly status: 'kept'; readonly addresses: readonly Freed[]; readonly why: string }
  | { readonly status: 'failed'; readonly why: string };

/** What a NetworkAttachmentDefinition is: a network whose addresses are in pools, another one, or one that nobody can read. */
export type KnownNetwork = ClusterNetwork | 'other' | Error;

/** By `namespace/name`; undefined: there is none. */
export type NetworkNamed = (nad: string) => KnownNetwork | undefined;

export interface Freeing extends Clock {
  readonly api: WatchApi;
  /** What containers still run, as far as that can be known: pods that were deleted by force may. */
  readonly running?: () => Promise<Running>;
  log(line: string): void;
}

/** @returns why a container keeps what it has; undefined: it has gone */
export type Running = (containerId: string) => string | undefined;

/** An address that a pod had. */
interface Had {
  readonly pod: GonePod;
  readonly ip: Ip | undefined;
  readonly ifname: string;
  readonly nad: string;
  readonly isIn: (pool: StoredPool) => boolean;
  /** where it must be; undefined: in any pool */
  readonly pools: readonly string[] | undefined;
}

/** Frees what pods had, if they are still gone: a successor of the same name may have taken it over. */
export async function freeGone<Pod extends GonePod>(
  freeing: Freeing,
  pods: readonly Pod[],
  networkNamed: NetworkNamed,
): Promise<ReadonlyMap<Pod, Outcome>> {
  const failures = new Map<GonePod, Outcome>();
  const fail = (pod: GonePod, why: string): void => void failures.set(pod, { status: 'failed', why });
  const had = pods.flatMap((pod) => {
    try {
      return hadBy(pod, networkNamed);
    } catch (error) {
      fail(pod, messageOf(error));
      return [];
    }
  });
  const meant = (await poolsFor(freeing, had)).map((pool) => ({ pool, entries: meantIn(pool, had) }));
  // As they are before anybody is asked for: who takes one up again changes it.
  const reservations = await reservationsOf(freeing.api, meant);
  const live = await LivePods.read(
    freeing.api,
    had.map(({ pod }) => pod.podref),
    (podref, error) => {
      for (const pod of pods.filter((one) => one.podref === podref)) {
        fail(pod, messageOf(error));
      }
    },
  );
  const isGone = ({ podref }: GonePod): boolean => live.isKnown(podref) && live.get(podref) === undefined;
  const kept = new Map<GonePod, string>();
  const reasonToKeep = meant.some(({ entries }) => entries.length > 0) ? await freeing.running?.() : undefined;
  const isRunning = ({ one, stored }: MeantEntry): boolean => {
    const why = reasonToKeep?.(stored.held.entry.id);
    if (why !== undefined) {
      kept.set(one.pod, why);
    }
    return why !== undefined;
  };
  const freed = new Map<GonePod, Freed[]>();
  for (const { pool, entries } of meant) {
    const wanted = entries.filter((entry) => isGone(entry.one.pod) && !isRunning(entry));
    try {
      const stored = wanted.map((entry) => entry.stored);
      const done = new Set(await freeEntries(freeing.api, freeing, pool, stored));
      for (const { one, stored: free } of wanted.filter((entry) => done.has(entry.stored))) {
        freed.set(one.pod, [...(freed.get(one.pod) ?? []), { ip: free.held.ip, nad: one.nad || pool.name }]);
        await removeReservations(
          freeing,
          namesOf(pool, free).flatMap((name) => reservations.get(name) ?? []),
          free,
        );
      }
    } catch (error) {
      for (const { one } of wanted) {
        fail(one.pod, messageOf(error));
      }
    }
  }
  return new Map(
    pods.map((pod): [Pod, Outcome] => {
      const [failed, addresses, why] = [failures.get(pod), freed.get(pod) ?? [], kept.get(pod)];
      const done: Outcome = why === undefined ? { status: 'freed', addresses } : { status: 'kept', addresses, why };
      return [pod, failed ?? done];
    }),
  );
}

interface MeantEntry {
  readonly one: Had;
  readonly stored: Stored;
}

interface MeantPool {
  readonly pool: StoredPool;
  readonly entries: readonly MeantEntry[];
}

/** By pod: a pool may have thousands of entries, and many pods may have gone. */
function meantIn(pool: StoredPool, had: readonly Had[]): readonly MeantEntry[] {
  const byPod = Map.groupBy(had, ({ pod }) => pod.podref);
  return storedIn(pool).flatMap((stored) => {
    const one = byPod.get(stored.held.entry.podref)?.find((which) => isMeant(which, pool, stored));
    return one === undefined ? [] : [{ one, stored }];
  });
}

/** @throws Error when the annotation cannot be read, or names what is not there */
function hadBy(pod: GonePod, networkNamed: NetworkNamed): readonly Had[] {
  if (pod.status === undefined) {
    return [{ pod, ip: undefined, ifname: '', nad: '', isIn: () => true, pools: undefined }];
  }
  const reported = networkStatusOf({ annotations: { [NETWORK_STATUS]: pod.status } }) ?? [];
  return reported.flatMap((item) => hadIn(pod, item, networkNamed(item.name)));
}

function hadIn(
  pod: GonePod,
  { name, ifname, ips, isDefault }: ReportedNetwork,
  network: ReturnType<NetworkNamed>,
): readonly Had[] {
  if (network === 'other' || ips.length === 0 || (network === undefined && isDefault)) {
    return []; // the default network need not be one of Kubernetes
  }
  if (network === undefined || network instanceof Error) {
    throw network ?? new Error(`there is no network "${name}"`);
  }
  return ips.map((ip) => ({
    pod,
    ip,
    ifname,
    nad: name,
    isIn: (pool) => isPoolOf(pool, network) && contains(pool.cidr, ip),
    pools:
      network.sliceSize === ''
        ? network.ranges.filter(({ cidr }) => contains(cidr, ip)).map(({ cidr }) => poolName(network.networkName, cidr))
        : undefined,
  }));
}

/** The pools that may hold it: by name, or, with slices and what nobody knows, all. */
async function poolsFor({ api, log }: Freeing, wanted: readonly Had[]): Promise<readonly StoredPool[]> {
  if (wanted.some(({ pools }) => pools === undefined)) {
    return (await readPools(api, log)).filter((pool) => wanted.some(({ isIn }) => isIn(pool)));
  }
  const names = new Set(wanted.flatMap(({ pools = [] }) => pools));
  const objects = await Promise.all([...names].map((name) => found<IpPool>(api, poolAt(api.namespace, name))));
  return objects.flatMap((object) => (object === undefined ? [] : (sweptPool(object) ?? [])));
}

/** Old versions write no name of an interface. */
function isMeant({ pod, ip, ifname, isIn }: Had, pool: StoredPool, { held }: Stored): boolean {
  const { entry } = held;
  const isSameLink = ifname === '' || entry.ifname === '' || entry.ifname === ifname;
  return entry.podref === pod.podref && (ip === undefined || (sameIp(held.ip, ip) && isSameLink)) && isIn(pool);
}

/** Which network the pool is of, its name does not tell for sure; whose reservation it is, the reservation does. */
const namesOf = (pool: StoredPool, { held }: Stored): readonly string[] =>
  possibleNetworks(pool).map((network) => reservationName(network, held.ip));

/** More than these are read as a list. */
const FEW = 64;

async function reservationsOf(api: WatchApi, meant: readonly MeantPool[]): Promise<ReadonlyMap<string, IpReservation>> {
  const names = new Set(meant.flatMap(({ pool, entries }) => entries.flatMap(({ stored }) => namesOf(pool, stored))));
  const reservations = new Map<string, IpReservation>();
  const keep = (one: IpReservation): void => void reservations.set(one.metadata.name, one);
  if (names.size > FEW) {
    await api.each<IpReservation>(reservationsIn(api.namespace), {}, (one) => {
      if (names.has(one.metadata.name)) {
        keep(one);
      }
    });
  } else {
    const all = await Promise.all(
      [...names].map((name) => found<IpReservation>(api, reservationAt(api.namespace, name))),
    );
    for (const one of all) {
      if (one !== undefined) {
        keep(one);
      }
    }
  }
  return reservations;
}

async function removeReservations(
  { api, log }: Freeing,
  reservations: readonly IpReservation[],
  { held }: Stored,
): Promise<void> {
  for (const one of reservations.filter(({ spec }) => spec.podref === held.entry.podref)) {
    try {
      await deleteReservation(api, one);
    } catch (error) {
      log(`cannot remove reservation "${one.metadata.name}": ${messageOf(error)}; the reconciler will`);
    }
  }
}
