import { messageOf } from '../../../lib/cni/errors.ts';
import { backoffMs } from '../../../lib/controller/repeat.ts';
import type { JsonPatch, KubeApi } from '../../../lib/kube/api.ts';
import type { Clock } from '../../../lib/sys/clock.ts';
import { type IpPool, poolAt } from '../cluster/objects.ts';
import type { Stored } from '../cluster/pool-entries.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { isSameEntry } from '../sweep/entries.ts';
import { sweptPool } from '../sweep/pools.ts';
import { found, NOT_FOUND, statusOf } from './asking.ts';

/** The server takes 10,000 operations, and an entry has four. */
const MOST_ENTRIES = 2_000; // and one for all
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Frees entries of one pool, each only if it is still the one that was judged: who has refreshed it uses it. What is in the
 * way of one of them does not stop the others.
 *
 * @returns those that are free now: all of a pool that is gone
 * @throws ApiError when the pool cannot be changed after several attempts; some may be free then
 */
export async function freeEntries(
  api: KubeApi,
  clock: Clock,
  pool: StoredPool,
  entries: readonly Stored[],
): Promise<readonly Stored[]> {
  const freed: Stored[] = [];
  for (let at = 0; at < entries.length; at += MOST_ENTRIES) {
    freed.push(...(await freeChunk(api, clock, pool, entries.slice(at, at + MOST_ENTRIES))));
  }
  return freed;
}

async function freeChunk(
  api: KubeApi,
  clock: Clock,
  { name, rangeText }: StoredPool,
  wanted: readonly Stored[],
): Promise<readonly Stored[]> {
  const inRange = { op: 'test', path: '/spec/range', value: rangeText } as const;
  let left = wanted;
  const gone: Stored[] = [];
  let isUnknown = false;
  for (let attempt = 1; left.length > 0; attempt++) {
    try {
      const body = [inRange, ...left.flatMap(removal)];
      await api.patch(poolAt(api.namespace, name), { type: 'json', body, isAnswerBrief: true });
      return [...gone, ...left];
    } catch (error) {
      if (statusOf(error) === NOT_FOUND) {
        return wanted; // with all its entries
      }
      if (attempt === ATTEMPTS) {
        throw new Error(`cannot free ${left.length} addresses of pool "${name}": ${messageOf(error)}`, {
          cause: error,
        });
      }
      isUnknown ||= (error as { isOutcomeUnknown?: boolean }).isOutcomeUnknown === true;
    }
    await clock.sleep(backoffMs(attempt, FIRST_PAUSE_MS, LONGEST_PAUSE_MS));
    const object = await found<IpPool>(api, poolAt(api.namespace, name));
    if (object === undefined) {
      return wanted;
    }
    const is = object.spec.range === rangeText ? sweptPool(object) : undefined; // else the same keys are other addresses
    const now = new Map((is === undefined ? [] : storedIn(is)).map((one) => [one.key, one]));
    gone.push(...left.filter(({ key }) => isUnknown && is !== undefined && !now.has(key)));
    left = left.filter((one) => isSameEntry(one, now.get(one.key)));
  }
  return gone;
}

/** Members that old versions do not write are absent, which is what null stands for in a test. */
const removal = ({ key, raw }: Stored): JsonPatch => {
  const path = `/spec/allocations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  return [
    { op: 'test', path: `${path}/id`, value: raw.id ?? null },
    { op: 'test', path: `${path}/podref`, value: raw.podref ?? null },
    { op: 'test', path: `${path}/ifname`, value: raw.ifname ?? null },
    { op: 'remove', path },
  ];
};
