import * as z from 'zod/mini';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { type Cidr, contains, formatCidr, networkOf, parseCidr } from '../../lib/net/cidr.ts';
import { formatIp, parseIp, sameIp } from '../../lib/net/ip.ts';
import { parseForm } from '../../lib/sys/json-form.ts';
import type { ImportedAddress } from './import-plan.ts';
import { poolKey } from './names.ts';
import type { Pool } from './pool.ts';

const FORMAT = 1;

/** What `braid ipam export` prints: a store as JSON, which any store can take in again. */
const Exported = z.object({
  format: z.literal(FORMAT),
  networks: z.array(
    z.object({
      networkName: z.string(),
      pools: z.array(
        z.object({
          range: z.string(),
          node: z.optional(z.string()),
          reservations: z.array(
            z.object({
              address: z.string(),
              containerId: z.string(),
              interface: z.string(),
              pod: z.string(),
              network: z.string(),
            }),
          ),
        }),
      ),
    }),
  ),
});
export type Exported = z.infer<typeof Exported>;

type Network = Exported['networks'][number];

export interface ImportedNetwork {
  readonly networkName: string;
  readonly addresses: readonly ImportedAddress[];
}

/** A pool, and whose slice it is. */
export interface ExportedPool extends Pool {
  readonly node?: string;
}

export const exportedNetwork = (networkName: string, pools: readonly ExportedPool[]): Network => ({
  networkName,
  pools: pools.map(({ range, node = '', held }) => ({
    range,
    ...(node === '' ? {} : { node }),
    reservations: held.map(({ ip, entry }) => ({
      address: formatIp(ip),
      containerId: entry.id,
      interface: entry.ifname,
      pod: entry.podref,
      network: entry.network ?? '',
    })),
  })),
});

export const formatExported = (networks: readonly Network[]): string =>
  JSON.stringify({ format: FORMAT, networks }, null, 2);

/** @throws CniError ioFailure when it is not what an export wrote */
export function readExported(path: string, text: string): readonly ImportedNetwork[] {
  try {
    return parseForm(Exported, text).networks.map(importedNetwork);
  } catch (error) {
    throw new CniError('ioFailure', `cannot import "${path}": ${messageOf(error)}`, { cause: error });
  }
}

const importedNetwork = ({ networkName, pools }: Network): ImportedNetwork => ({
  networkName,
  addresses: pools.flatMap(({ range, node = '', reservations }) =>
    reservations.map((one) => ({
      range: poolKey({ cidr: canonical(range), node }),
      ip: addressIn(range, one.address),
      entry: { id: one.containerId, ifname: one.interface, podref: one.pod, network: one.network },
    })),
  ),
});

/** A pool is found by the text of its range. */
function canonical(range: string): Cidr {
  const cidr = parseCidr(range);
  if (cidr === undefined || !sameIp(cidr.ip, networkOf(cidr)) || formatCidr(cidr) !== range) {
    throw new Error(`"${range}" is not a range in canonical form`);
  }
  return cidr;
}

function addressIn(range: string, address: string) {
  const [cidr, ip] = [parseCidr(range), parseIp(address)];
  if (cidr === undefined || ip === undefined || !contains(cidr, ip)) {
    throw new Error(`"${address}" is not an address of range ${range}`);
  }
  return ip;
}
