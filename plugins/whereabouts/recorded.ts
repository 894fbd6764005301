import { messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { openFileStore } from './file-store.ts';
import { folderOf, type StorePlace } from './place.ts';
import { type Held, heldIn, type Pool } from './pool.ts';
import { dataDirsIn, storesIn } from './stores.ts';

/** The reservations of every network's store. One that cannot be read is told. */
export async function recorded(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  const found: AttachmentRecord[] = [];
  for (const place of storesIn(dataDirsIn(confs))) {
    try {
      found.push(...recordsOf(place, await poolsOf(scope, place)));
    } catch (error) {
      scope.log(messageOf(error));
    }
  }
  return found;
}

/** The pools of a network's store that have reservations. */
export async function poolsOf(scope: Scope, place: StorePlace): Promise<readonly Pool[]> {
  const pools = await openFileStore(place, scope).look((state) => state.ranges.map((range) => state.pool(range)));
  return pools.filter(({ entries }) => entries.size > 0);
}

/** One for each interface: its addresses together. */
function recordsOf(place: StorePlace, pools: readonly Pool[]): readonly AttachmentRecord[] {
  const all = pools.flatMap((pool) => heldIn(pool, () => true));
  return [...Map.groupBy(all, ({ entry }) => `${entry.id} ${entry.ifname}`).values()].map((held) => {
    const { id: containerId = '', ifname = '', podref = '', network = '' } = held[0]?.entry ?? {};
    return {
      containerId,
      ifName: ifname,
      network,
      pod: podref,
      netns: '',
      addresses: held.map(addressText),
      device: '',
      sinceMs: undefined,
      place: folderOf(place),
      release: releaseOf(place, network),
    };
  });
}

const addressText = ({ ip, range }: Held): string => `${formatIp(ip)}/${range.slice(range.indexOf('/') + 1)}`;

const releaseOf = ({ dataDir, networkName }: StorePlace, network: string): JsonObject => ({
  cniVersion: NEWEST,
  name: network || 'whereabouts',
  type: 'whereabouts',
  ipam: { type: 'whereabouts', datastore: 'file', data_dir: dataDir, network_name: networkName },
});
