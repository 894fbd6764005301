import * as z from 'zod/mini';
import { isObject } from '../../../lib/cni/json.ts';
import type { CollectionPath, KubeObject } from '../../../lib/kube/api.ts';
import { readForm } from '../../../lib/sys/json-form.ts';

/** The group of NVIDIA's IPAM plugin. */
const GROUP = 'nv-ipam.nvidia.com';

export const nvPools = (plural: 'ippools' | 'cidrpools'): CollectionPath => ({
  resource: { group: GROUP, version: 'v1alpha1', plural },
  namespace: undefined,
});

/** YAML is read with all scalars as texts. */
const whole = z.pipe(
  z.union([z.number(), z.string()]),
  z.transform((value) => Number(value)),
);
const truth = z.pipe(
  z.union([z.boolean(), z.string()]),
  z.transform((value) => value === true || value === 'true'),
);

const text = z._default(
  z.pipe(
    z.nullable(z.string()),
    z.transform((value) => value ?? ''),
  ),
  '',
);
const listOf = <T extends z.ZodMiniType>(item: T) =>
  z._default(
    z.pipe(
      z.nullable(z.array(item)),
      z.transform((value) => value ?? []),
    ),
    [],
  );

const common = {
  exclusions: listOf(z.object({ startIP: z.string(), endIP: z.string() })),
  /** counted from the first address of the node's block, or of its prefix */
  perNodeExclusions: listOf(z.object({ startIndex: whole, endIndex: whole })),
  nodeSelector: z.optional(z.nullable(z.unknown())),
  defaultGateway: z.optional(truth),
  routes: listOf(z.object({ dst: z.string() })),
};

const metadata = z.object({ name: z.string(), namespace: z.optional(z.string()) });
const status = <T extends z.ZodMiniType>(allocation: T) =>
  z.optional(z.nullable(z.object({ allocations: listOf(allocation) })));

/** Blocks of one subnet for nodes. */
const IpPool = z.object({
  kind: z.literal('IPPool'),
  metadata,
  spec: z.object({ subnet: z.string(), perNodeBlockSize: whole, gateway: text, ...common }),
  status: status(z.object({ nodeName: z.string(), startIP: z.string(), endIP: z.string() })),
});
export type NvIpPool = z.infer<typeof IpPool>;

/** A prefix with a gateway of its own for each node. */
const CidrPool = z.object({
  kind: z.literal('CIDRPool'),
  metadata,
  spec: z.object({
    cidr: z.string(),
    perNodeNetworkPrefix: whole,
    gatewayIndex: z.optional(z.nullable(whole)),
    staticAllocations: listOf(z.object({ nodeName: text, prefix: z.string(), gateway: text })),
    ...common,
  }),
  status: status(z.object({ nodeName: z.string(), prefix: z.string(), gateway: text })),
});
export type NvCidrPool = z.infer<typeof CidrPool>;

export type NvPool = NvIpPool | NvCidrPool;

/**
 * The pools among documents, also in lists, as `kubectl get -o yaml` writes them.
 *
 * @returns undefined when none is of NVIDIA's plugin
 * @throws Error naming the pool and the key that is wrong
 */
export function nvPoolsIn(documents: readonly unknown[]): readonly NvPool[] | undefined {
  const objects = documents.flatMap((document) =>
    isObject(document) && Array.isArray(document['items']) ? (document['items'] as readonly unknown[]) : [document],
  );
  const own = objects.filter((object): object is KubeObject => isOfNvIpam(object));
  return own.length === 0 ? undefined : own.map(readPool);
}

const isOfNvIpam = (object: unknown): boolean =>
  isObject(object) && typeof object['apiVersion'] === 'string' && object['apiVersion'].startsWith(`${GROUP}/`);

/** @throws Error naming the pool and the key that is wrong */
export function readPool(object: KubeObject): NvPool {
  const { kind = '', metadata: { name } = { name: '' } } = object;
  try {
    return kind === 'CIDRPool' ? readForm(CidrPool, object) : readForm(IpPool, object);
  } catch (error) {
    throw new Error(`cannot use ${kind || 'object'} "${name}": ${(error as Error).message}`, { cause: error });
  }
}

/** What the plugin calls a pool in its own file. */
export const storeKeyOf = ({ kind, metadata: { name } }: NvPool): string =>
  kind === 'CIDRPool' ? `cidrpool/${name}` : name;
