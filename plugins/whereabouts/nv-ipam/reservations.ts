import * as z from 'zod/mini';
import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { contains, formatCidr, masked, parseCidr } from '../../../lib/net/cidr.ts';
import { formatIp, parseIp } from '../../../lib/net/ip.ts';
import { parseForm } from '../../../lib/sys/json-form.ts';
import type { ImportedAddress } from '../import-plan.ts';
import { type NvPool, storeKeyOf } from './objects.ts';

/** The file of a node's daemon, usually /var/lib/cni/nv-ipam/store. */
const Store = z.object({
  version: z.literal(1),
  pools: z.record(
    z.string(),
    z.object({
      entries: z.nullable(
        z.record(
          z.string(),
          z.object({
            container_id: z.string(),
            interface_name: z.string(),
            ip_address: z.string(),
            /** kept for a while after the pod has gone */
            released_at: z.optional(z.string()),
            metadata: z.optional(z.object({ pod_name: z.optional(z.string()), pod_namespace: z.optional(z.string()) })),
          }),
        ),
      ),
    }),
  ),
});

export interface NvReservations {
  /** by network name */
  readonly networks: ReadonlyMap<string, readonly ImportedAddress[]>;
  readonly skipped: readonly string[];
}

/**
 * What pods of a node have.
 *
 * @throws CniError ioFailure when the file is not what NVIDIA's plugin writes
 */
export function readReservations(path: string, text: string, pools: readonly NvPool[]): NvReservations {
  const networks = new Map<string, ImportedAddress[]>();
  const skipped: string[] = [];
  const known = new Map(pools.map((pool) => [storeKeyOf(pool), pool]));
  for (const [key, { entries }] of Object.entries(readStore(path, text).pools)) {
    const pool = known.get(key);
    const own = Object.values(entries ?? {}).filter(({ released_at: at }) => at === undefined);
    if (pool === undefined) {
      skipped.push(...(own.length === 0 ? [] : [`pool "${key}" of ${own.length} addresses: there is no object of it`]));
      continue;
    }
    for (const { container_id: id, interface_name: ifname, ip_address: address, metadata = {} } of own) {
      const range = rangeIn(pool, address);
      const ip = parseIp(address);
      if (range === undefined || ip === undefined) {
        skipped.push(`${address} of container ${id}: it is not in pool "${key}"`);
        continue;
      }
      const { pod_namespace: namespace = '', pod_name: name = '' } = metadata;
      const podref = name === '' ? '' : `${namespace}/${name}`;
      const all = networks.get(pool.metadata.name) ?? [];
      networks.set(pool.metadata.name, [...all, { range, ip, entry: { id, podref, ifname, network: '' } }]);
    }
  }
  return { networks, skipped };
}

function readStore(path: string, text: string): z.infer<typeof Store> {
  try {
    return parseForm(Store, text);
  } catch (error) {
    throw new CniError('ioFailure', `cannot import "${path}": ${messageOf(error)}`, { cause: error });
  }
}

/** A node's prefix is its own network, blocks are parts of one. */
function rangeIn(pool: NvPool, address: string): string | undefined {
  const prefixes =
    pool.kind === 'IPPool'
      ? [pool.spec.subnet]
      : [...(pool.status?.allocations ?? []), ...pool.spec.staticAllocations].map(({ prefix }) => prefix);
  const whole = pool.kind === 'IPPool' ? [] : [pool.spec.cidr];
  const ip = parseIp(address);
  return [...prefixes, ...whole].flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr === undefined || ip === undefined || !contains(cidr, ip) ? [] : [formatCidr(masked(cidr))];
  })[0];
}

export const addressText = ({ ip }: ImportedAddress): string => formatIp(ip);
