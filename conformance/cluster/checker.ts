/** What is in a cluster's pools, read and judged by nothing that the code under test uses. */
import type { Cluster } from './cluster.ts';
import { expectSuccess } from './request.ts';

const API = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system';

interface Pools {
  readonly items: readonly {
    readonly spec: {
      readonly range: string;
      readonly allocations?: Readonly<Record<string, { id: string; podref: string; ifname: string }>>;
    };
  }[];
}

interface Reservations {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { podref: string; ifname?: string };
  }[];
}

/** An address, and whose it is: `10.0.0.1 lab/web net1`. */
export interface Contents {
  readonly entries: readonly string[];
  readonly reservations: readonly string[];
  /** with their containers: `10.0.0.1 c1 net1` */
  readonly containers: readonly string[];
}

/** IPv4 pools of the unnamed network. */
export async function contentsOf({ send }: Pick<Cluster, 'send'>): Promise<Contents> {
  const pools = await expectSuccess<Pools>(send(`${API}/ippools`));
  const { items } = await expectSuccess<Reservations>(send(`${API}/overlappingrangeipreservations`));
  const held = pools.items.flatMap(({ spec: { range, allocations = {} } }) =>
    Object.entries(allocations).map(([key, entry]) => ({ ip: addressAt(range, Number(key)), ...entry })),
  );
  return {
    entries: held.map(({ ip, podref, ifname }) => `${ip} ${podref} ${ifname}`).sort(),
    containers: held.map(({ ip, id, ifname }) => `${ip} ${id} ${ifname}`).sort(),
    reservations: items.map(({ metadata, spec }) => `${metadata.name} ${spec.podref} ${spec.ifname ?? ''}`).sort(),
  };
}

function addressAt(range: string, key: number): string {
  const base = range.split('/')[0]?.split('.').map(Number) ?? [];
  const value = base.reduce((sum, byte) => sum * 256 + byte, 0) + key;
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/**
 * What is wrong with it.
 *
 * @param given what pods were told that they have: `10.0.0.1 lab/web net1`
 * @returns a sentence for each fault; none when pools and reservations are exactly what was given
 */
export function faultsIn({ entries, reservations }: Contents, given: readonly string[]): readonly string[] {
  const addresses = [...entries.map(ipOf), ...given.map(ipOf)];
  const owners = new Map<string, Set<string>>();
  for (const line of [...entries, ...given]) {
    owners.set(ipOf(line), (owners.get(ipOf(line)) ?? new Set()).add(line));
  }
  return [
    ...[...new Set(addresses)].flatMap((ip) => {
      const all = [...(owners.get(ip) ?? [])];
      return all.length > 1 ? [`${ip} is doubled: ${all.join(', ')}`] : [];
    }),
    ...given.filter((line) => !entries.includes(line)).map((line) => `lost: ${line}`),
    ...given.filter((line) => !reservations.includes(line)).map((line) => `not protected: ${line}`),
    ...entries.filter((line) => !given.includes(line)).map((line) => `left in a pool: ${line}`),
    ...reservations.filter((line) => !given.includes(line)).map((line) => `left reserved: ${line}`),
    ...entries.filter((line, at) => entries.indexOf(line) !== at).map((line) => `twice in pools: ${line}`),
  ];
}

const ipOf = (line: string): string => line.split(' ')[0] ?? '';
