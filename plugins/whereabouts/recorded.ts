import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { openDatastore } from './datastore.ts';
import type { FilePlace } from './place.ts';
import type { Held, Pool } from './pool.ts';
import { dataDirsIn, networksIn } from './stores.ts';
import { allDataDirs } from './views.ts';

/** Of this node's journal of what it has in clusters. */
const JOURNAL = 'cluster.db';

/**
 * The reservations of every network's store, and what this node has in the pools of clusters. One that cannot be read is
 * told.
 */
export async function listRecords(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  const found: AttachmentRecord[] = [];
  for (const dataDir of dataDirsIn(confs)) {
    try {
      for (const place of await networksIn(dataDir, scope)) {
        found.push(...recordsOf(place, await openDatastore(place, scope).pools()));
      }
    } catch (error) {
      scope.log(messageOf(error));
    }
  }
  return [...found, ...(await inClusters(scope, confs))];
}

/** The modules of journals are loaded where there is one. */
async function inClusters(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  const dataDirs = allDataDirs(confs).filter((folder) => existsSync(join(folder, JOURNAL)));
  if (dataDirs.length === 0) {
    return [];
  }
  try {
    return await (await import('./survey/journal-records.ts')).journalRecords(scope, dataDirs);
  } catch (error) {
    scope.log(messageOf(error));
    return [];
  }
}

/** One for each interface: its addresses together. */
function recordsOf(place: FilePlace, pools: readonly Pool[]): readonly AttachmentRecord[] {
  return [
    ...Map.groupBy(
      pools.flatMap(({ held }) => held),
      ({ entry }) => `${entry.id} ${entry.ifname}`,
    ).values(),
  ].map((held) => {
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
      place: place.dataDir,
      release: releaseOf(place, network),
    };
  });
}

const addressText = ({ ip, range }: Held): string => `${formatIp(ip)}/${range.slice(range.indexOf('/') + 1)}`;

const releaseOf = ({ dataDir, networkName }: FilePlace, network: string): JsonObject => ({
  cniVersion: NEWEST,
  name: network || 'whereabouts',
  type: 'whereabouts',
  ipam: { type: 'whereabouts', datastore: 'file', data_dir: dataDir, network_name: networkName },
});
