import { CniError } from '../../../lib/cni/errors.ts';
import { masked } from '../../../lib/net/cidr.ts';
import type { Step } from '../engine.ts';
import { networkNameOf, type PoolId, parsePoolKey, poolName, sliceNodeOf } from '../names.ts';
import { type AttachmentId, isOf } from '../pool.ts';
import { inParallel } from './context.ts';
import type { JournalRow } from './journal.ts';
import type { IpPool } from './objects.ts';
import { isExplained } from './patch.ts';
import type { Progress } from './progress.ts';
import type { Recent } from './recent.ts';
import { rememberedPools } from './remembered.ts';
import type { Requests } from './requests.ts';
import { cidrIn, emptyPool, type StoredPool, storedPool } from './stored-pool.ts';

export interface LoadedPool {
  readonly networkName: string;
  readonly pool: StoredPool;
}

export interface Loading {
  readonly progress: Progress;
  readonly requests: Requests;
  readonly remembered: readonly JournalRow[];
  readonly isStrict: boolean;
  readonly go: Recent;
}

export interface LoadedPools {
  readonly pools: readonly LoadedPool[];
  /** names of all that there are, if all of it had to be read */
  readonly networks: readonly string[];
}

/** Every pool that the steps ask about. */
export async function loadPools(steps: readonly Step[], loading: Loading): Promise<LoadedPools> {
  const { progress, requests } = loading;
  // What was refused is looked at, not remembered again.
  progress.isDistrustful ||= progress.refused.size > 0 || progress.isUnsure || loading.isStrict;
  const needs = [...Map.groupBy(steps, ({ networkName }) => networkName)].map(([networkName, own]) => ({
    networkName,
    needs: own.map((step) => needOf(step, loading)),
  }));
  const isAll = needs.some((one) => one.needs.some(({ ranges }) => ranges === 'all'));
  const objects = isAll ? await requests.listPools() : [];
  const listed = objects.flatMap(placed);
  const pools: LoadedPool[] = [
    ...listed.filter((one) => needs.some(({ networkName }) => networkName === one.networkName)),
    ...needs.flatMap(({ networkName, needs: own }) => slicesOf(objects, networkName, own)),
  ];
  const known = new Set(pools.map(({ networkName, pool }) => `${networkName} ${pool.name}`));
  const wanted = needs.flatMap(({ networkName, needs: own }) => {
    const ranges = new Set(own.flatMap(({ ranges: some }) => (some === 'all' ? [] : some)));
    return [...ranges].map((range) => ({ networkName, ...placeOf(networkName, range) }));
  });
  const read = async ({ networkName, name, cidr, node }: (typeof wanted)[number]): Promise<LoadedPool> => {
    const object = isAll ? objects.find(({ metadata }) => metadata.name === name) : await requests.readPool(name);
    if (object !== undefined && isWrittenByGo(object)) {
      progress.foreign.meetGo();
      loading.go.remember();
    }
    return { networkName, pool: object === undefined ? emptyPool(name, cidr, node) : storedPool(object, cidr, node) };
  };
  pools.push(
    ...(await inParallel(
      wanted.filter(({ networkName, name }) => !known.has(`${networkName} ${name}`)),
      read,
    )),
  );
  explain(pools, loading);
  const real = new Set(pools.map(({ pool }) => pool.name));
  for (const { networkName, needs: own } of needs) {
    const rows = own.flatMap(({ remembered }) => remembered);
    const remembered = rememberedPools(networkName, rows).filter(({ name }) => !real.has(name));
    pools.push(...remembered.map((pool) => ({ networkName, pool })));
  }
  return { pools, networks: [...new Set(listed.map(({ networkName }) => networkName))] };
}

const GO = 'whereabouts';
/** By the clocks of this node and of the server, which may differ: then pools are only shared less politely. */
const RECENT_MS = 10_000;

const isWrittenByGo = ({ metadata: { managedFields = [] } }: IpPool): boolean =>
  managedFields.some(({ manager, time = '' }) => manager === GO && Math.abs(Date.now() - Date.parse(time)) < RECENT_MS);

interface Need {
  readonly ranges: readonly string[] | 'all';
  /** instead of asking the server */
  readonly remembered: readonly JournalRow[];
  /** whose reservations are looked for in slices too, when all is read */
  readonly owners: readonly AttachmentId[];
}

export function placeOf(networkName: string, key: string): Required<PoolId> & { readonly name: string } {
  const id = parsePoolKey(key);
  if (id === undefined) {
    throw new TypeError(`"${key}" is not a range`);
  }
  return { ...id, name: poolName(networkName, id.cidr, id.node) };
}

function needOf({ networkName, asked, isRelease }: Step, { progress, remembered }: Loading): Need {
  const { ranges, owners } = asked;
  if (!isRelease || owners.length === 0) {
    return { ranges: typeof ranges === 'string' ? 'all' : ranges, remembered: [], owners };
  }
  const own = remembered.filter((row) => row.networkName === networkName && owners.some((owner) => isOf(owner)(row)));
  if (own.length > 0 && !progress.isDistrustful && own.every(({ isSure }) => isSure)) {
    return { ranges: [], remembered: own, owners };
  }
  const known = own.map(({ range }) => range);
  return {
    ranges: typeof ranges !== 'string' ? [...ranges, ...known] : known.length > 0 ? known : 'all',
    remembered: [],
    owners,
  };
}

/** The pool of whichever network it is; one that is not named after its range is none of ours. */
function placed(object: IpPool): readonly LoadedPool[] {
  const cidr = cidrIn(object);
  const range = cidr && masked(cidr);
  const networkName = range && networkNameOf(object.metadata.name, range);
  return range === undefined || networkName === undefined ? [] : [{ networkName, pool: storedPool(object, range) }];
}

/**
 * Slices, of whichever node and time, in which one of the owners has something. A name alone does not tell the slice of a
 * network from the pool of another one, whose entries without interfaces must not be taken for the owner's.
 */
function slicesOf(objects: readonly IpPool[], networkName: string, needs: readonly Need[]): readonly LoadedPool[] {
  const owners = needs.flatMap((need) => (need.ranges === 'all' ? need.owners : []));
  const isHeld = ({ spec }: IpPool): boolean =>
    Object.values(spec.allocations ?? {}).some(({ id, ifname }) =>
      owners.some((owner) => owner.id === id && owner.ifname === ifname),
    );
  return objects.filter(isHeld).flatMap((object) => {
    const cidr = cidrIn(object);
    const range = cidr && masked(cidr);
    const node = range && sliceNodeOf(object.metadata.name, networkName, range);
    return range === undefined || node === undefined ? [] : [{ networkName, pool: storedPool(object, range, node) }];
  });
}

/** A refused patch that nothing explains is refused for another reason: twice in a row, somebody may be too fast to see. */
const UNEXPLAINED = 2;

/** @throws CniError internal */
function explain(pools: readonly LoadedPool[], { progress, isStrict }: Loading): void {
  for (const { pool } of pools) {
    const { name } = pool;
    const refused = progress.refused.get(name);
    progress.refused.delete(name);
    const isKnown = refused === undefined || refused.pool.version === '';
    if (isKnown || isExplained(refused.diffs, refused.pool, pool, isStrict)) {
      progress.unexplained.delete(name);
      continue;
    }
    const times = (progress.unexplained.get(name) ?? 0) + 1;
    progress.unexplained.set(name, times);
    if (times >= UNEXPLAINED) {
      throw new CniError('internal', refused.refusal);
    }
  }
}
