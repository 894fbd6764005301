import { type Cidr, contains, formatCidr, masked } from '../../../lib/net/cidr.ts';
import { bitsOf, type Ip } from '../../../lib/net/ip.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { poolName } from '../names.ts';
import type { Entry } from '../pool.ts';
import { type ClusterNetwork, isPoolOf, mayGive } from './networks.ts';
import type { PodFacts } from './pods.ts';

/** An address that a pod has, and no pool knows as taken. */
export interface Unclaimed {
  readonly pod: PodFacts;
  readonly ifname: string;
  readonly ip: Ip;
  readonly network: ClusterNetwork;
  /** the name of the pool that should know it */
  readonly pool: string;
}

/** An address that a pod has, and that a pool knows as somebody else's. */
export interface Contested extends Unclaimed {
  readonly holder: Entry;
}

/** What pods have, and pools do not say. */
export class Claims {
  private readonly networks: ReadonlyMap<string, ClusterNetwork>;
  private readonly pools: readonly StoredPool[];
  private readonly entries: ReadonlyMap<string, ReadonlyMap<bigint, Entry>>;
  private readonly places = new Map<ClusterNetwork, Places>();

  constructor(networks: readonly ClusterNetwork[], pools: readonly StoredPool[]) {
    this.networks = new Map(networks.map((network) => [network.nad, network]));
    this.pools = pools;
    this.entries = new Map(
      pools.map((pool) => [pool.name, new Map(storedIn(pool).map(({ held }) => [held.ip.value, held.entry]))]),
    );
  }

  /** Of one pod. A pool that is not there yet is the one of the whole range; slices are known only from their pools. */
  of(pod: PodFacts): { readonly unclaimed: readonly Unclaimed[]; readonly contested: readonly Contested[] } {
    const unclaimed: Unclaimed[] = [];
    const contested: Contested[] = [];
    for (const { name, ifname, ips } of pod.networks ?? []) {
      const network = this.networks.get(name);
      for (const ip of network === undefined ? [] : ips) {
        if (network === undefined || !mayGive(network, ip)) {
          continue;
        }
        const places = this.placesOf(network)
          .with(ip)
          .map(({ name: pool }) => ({ pool, holder: this.entries.get(pool)?.get(ip.value) }));
        if (places.some(({ holder }) => holder?.podref === pod.podref)) {
          continue;
        }
        const free = places.find(({ holder }) => holder === undefined)?.pool;
        const pool = places.length === 0 ? nameFor(network, ip) : free;
        const taken = places.find(({ holder }) => holder !== undefined);
        const one = { pod, ifname, ip, network };
        if (taken?.holder !== undefined && (network.protectOverlaps || free === undefined)) {
          contested.push({ ...one, pool: taken.pool, holder: taken.holder });
        } else if (pool !== undefined) {
          unclaimed.push({ ...one, pool });
        }
      }
    }
    return { unclaimed, contested };
  }

  private placesOf(network: ClusterNetwork): Places {
    const found = this.places.get(network) ?? new Places(this.pools.filter((pool) => isPoolOf(pool, network)));
    this.places.set(network, found);
    return found;
  }
}

/** Pools by their ranges: a network in slices has one for each node. */
class Places {
  private readonly pools = new Map<string, StoredPool[]>();
  private readonly prefixes: ReadonlySet<number>;

  constructor(pools: readonly StoredPool[]) {
    this.prefixes = new Set(pools.map(({ cidr }) => cidr.prefix));
    for (const pool of pools) {
      const key = placeOf(pool.cidr);
      this.pools.set(key, [...(this.pools.get(key) ?? []), pool]);
    }
  }

  with(ip: Ip): readonly StoredPool[] {
    const possible = [...this.prefixes].filter((prefix) => prefix <= bitsOf(ip.family));
    return possible.flatMap((prefix) => this.pools.get(placeOf({ ip, prefix })) ?? []);
  }
}

const placeOf = (cidr: Cidr): string => formatCidr(masked(cidr));

function nameFor({ networkName, ranges, sliceSize }: ClusterNetwork, ip: Ip): string | undefined {
  const range = ranges.find(({ cidr }) => contains(cidr, ip));
  return range === undefined || sliceSize !== '' ? undefined : poolName(networkName, range.cidr);
}
