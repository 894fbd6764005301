import { CniError, messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import { type Configured, clusterConfiguredIn, configuredIn } from './configured.ts';
import { openDatastore } from './datastore.ts';
import { poolKey } from './names.ts';
import { type FilePlace, placeKey } from './place.ts';
import type { Pool } from './pool.ts';
import { type PoolView, viewOf } from './pool-view.ts';
import { dataDirsIn, networksIn } from './stores.ts';

export interface Views {
  readonly views: readonly PoolView[];
  /** stores that cannot be read */
  readonly faults: readonly string[];
}

/** Data directories whose stores are known to be damaged. */
type Except = ReadonlySet<string>;

/** Data directories of the node: the usual one, and those that are configured, also by a flat file. */
export const allDataDirs = (confs: readonly JsonObject[], configured = configuredIn(confs, () => undefined)) => [
  ...new Set([
    ...dataDirsIn(confs),
    ...configured.map(({ place }) => place.dataDir),
    ...clusterConfiguredIn(confs, () => undefined).map(({ dataDir }) => dataDir),
  ]),
];

/** Every pool of the node: those that have reservations, and those that are only configured yet. */
export async function viewsOf(scope: Scope, confs: readonly JsonObject[], except: Except = new Set()): Promise<Views> {
  const configured = configuredIn(confs, scope.log);
  const faults: string[] = [];
  const views: PoolView[] = [];
  for (const dataDir of allDataDirs(confs, configured).filter((one) => !except.has(one))) {
    const here = configured.filter(({ place }) => place.dataDir === dataDir);
    try {
      const places = [...(await networksIn(dataDir, scope)), ...here.map(({ place }) => place)];
      for (const place of new Map(places.map((one) => [placeKey(one), one])).values()) {
        views.push(...(await viewsAt(place, here, scope)));
      }
    } catch (error) {
      faults.push(messageOf(error));
    }
  }
  return { views, faults };
}

async function viewsAt(place: FilePlace, all: readonly Configured[], scope: Scope): Promise<readonly PoolView[]> {
  const configured = all.filter((one) => placeKey(one.place) === placeKey(place));
  const cidrs = configured.flatMap(({ ranges }) => ranges.map(({ cidr }) => cidr));
  return (await allPools(scope, place, cidrs)).map((pool) => viewOf(place, pool, configured));
}

/**
 * @param wanted name or range of a pool; undefined takes all
 * @throws CniError when there is none of them
 */
export function selectViews(views: readonly PoolView[], wanted: string | undefined): readonly PoolView[] {
  const found = views.filter((view) => wanted === undefined || namesOf(view).includes(wanted));
  if (wanted !== undefined && found.length === 0) {
    const known = views.map(({ name }) => `"${name}"`).join(', ');
    throw new CniError(
      'internal',
      `cannot find pool "${wanted}": ${known === '' ? 'there is none' : `there are ${known}`}`,
    );
  }
  return found;
}

/** A slice is also called as messages call it: `10.40.3.0/26@w-7`. */
const namesOf = ({ name, pool, place }: PoolView): readonly string[] => [
  name,
  pool.range,
  ...(place.kind === 'kubernetes' ? [poolKey({ cidr: pool.cidr, node: place.node })] : []),
];

async function allPools(scope: Scope, place: FilePlace, cidrs: readonly Pool['cidr'][]): Promise<readonly Pool[]> {
  const stored = await openDatastore(place, scope).pools();
  const empty = cidrs
    .map((cidr): Pool => ({ range: formatCidr(cidr), cidr, held: [] }))
    .filter(({ range }) => !stored.some((pool) => pool.range === range));
  return [...stored, ...new Map(empty.map((pool) => [pool.range, pool])).values()];
}
