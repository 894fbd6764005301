/** What whereabouts has in the cluster. */
import { expectSuccess } from '../cluster/request.ts';
import type { Kubernetes } from './kubernetes.ts';

const WHEREABOUTS = '/apis/whereabouts.cni.cncf.io/v1alpha1';

interface Pool {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly allocations?: Readonly<Record<string, { readonly podref: string }>> };
}

async function list<T>({ cluster }: Kubernetes, path: string): Promise<readonly T[]> {
  return (await expectSuccess<{ readonly items: readonly T[] }>(cluster.send(path))).items;
}

/** `10.6.0.0-24: 3 default/web` of each address that is taken. */
export async function taken(kubernetes: Kubernetes): Promise<readonly string[]> {
  const pools = await list<Pool>(kubernetes, `${WHEREABOUTS}/ippools`);
  return pools.flatMap(({ metadata, spec }) =>
    Object.entries(spec.allocations ?? {}).map(([offset, { podref }]) => `${metadata.name}: ${offset} ${podref}`),
  );
}

/** Cluster-wide marks of addresses. */
export async function reserved(kubernetes: Kubernetes): Promise<readonly string[]> {
  const all = await list<Pool>(kubernetes, `${WHEREABOUTS}/overlappingrangeipreservations`);
  return all.map(({ metadata }) => metadata.name);
}
