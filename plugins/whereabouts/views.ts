import { CniError, messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Host } from '../../lib/cni/plugin.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import { configuredIn } from './configured.ts';
import { openDatastore } from './datastore.ts';
import { folderOf, type StorePlace } from './place.ts';
import type { Pool } from './pool.ts';
import { type PoolView, viewOf } from './pool-view.ts';
import { dataDirsIn, storesIn } from './stores.ts';

export interface Views {
  readonly views: readonly PoolView[];
  /** stores that cannot be read */
  readonly faults: readonly string[];
}

/** Every pool of the node: those that have reservations, and those that are only configured yet. */
export async function viewsOf(host: Host, confs: readonly JsonObject[]): Promise<Views> {
  const configured = configuredIn(confs, host.log);
  const places = [...storesIn(dataDirsIn(confs)), ...configured.map(({ place }) => place)];
  const views: PoolView[] = [];
  const faults: string[] = [];
  for (const place of new Map(places.map((one) => [folderOf(one), one])).values()) {
    const here = configured.filter((one) => folderOf(one.place) === folderOf(place));
    try {
      for (const pool of await allPools(
        host,
        place,
        here.flatMap(({ ranges }) => ranges.map(({ cidr }) => cidr)),
      )) {
        views.push(viewOf(place, pool, here));
      }
    } catch (error) {
      faults.push(messageOf(error));
    }
  }
  return { views, faults };
}

/**
 * @param wanted name or range of a pool; undefined takes all
 * @throws CniError when there is none of them
 */
export function chosen(views: readonly PoolView[], wanted: string | undefined): readonly PoolView[] {
  const found = views.filter(({ name, pool }) => wanted === undefined || name === wanted || pool.range === wanted);
  if (wanted !== undefined && found.length === 0) {
    const known = views.map(({ name }) => `"${name}"`).join(', ');
    throw new CniError(
      'internal',
      `cannot find pool "${wanted}": ${known === '' ? 'there is none' : `there are ${known}`}`,
    );
  }
  return found;
}

async function allPools(host: Host, place: StorePlace, cidrs: readonly Pool['cidr'][]): Promise<readonly Pool[]> {
  const stored = await openDatastore(place, host).pools();
  const empty = cidrs
    .map((cidr): Pool => ({ range: formatCidr(cidr), cidr, held: [] }))
    .filter(({ range }) => !stored.some((pool) => pool.range === range));
  return [...stored, ...new Map(empty.map((pool) => [pool.range, pool])).values()];
}
