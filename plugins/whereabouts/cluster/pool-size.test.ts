import { describe, expect, it } from 'vitest';
import { fullnessOf } from '../fullness.ts';
import { FakeKube } from '../testing/fake-kube.ts';
import { rangesOf } from '../testing/fixtures.ts';
import { MemoryJournal } from '../testing/memory-journal.ts';
import { CALLER, releasing, reserving } from '../testing/steps.ts';
import { transact } from '../transact.ts';
import { KubernetesEngine } from './engine.ts';
import { MOST_BYTES } from './object-size.ts';
import { type IpPool, poolObject } from './objects.ts';
import { NOTHING_RECENT } from './recent.ts';

const RANGE = '10.0.0.0/24';

function cluster() {
  const kube = new FakeKube();
  const node = () =>
    new KubernetesEngine({
      open: async () => kube,
      journal: new MemoryJournal(),
      recents: NOTHING_RECENT,
      isStrict: false,
    });
  const engine = node();
  const add = async (who: string, ranges: readonly string[]) => {
    const one = reserving(who, ranges);
    const [outcome] = await transact(engine, [one.step]);
    return outcome?.status === 'rejected' ? Promise.reject(outcome.reason) : [...one.given];
  };
  const entries = () => kube.all<IpPool>('ippools').flatMap(({ spec }) => Object.keys(spec.allocations ?? {}));
  return { kube, node, add, entries };
}

describe('a pool whose object is large', () => {
  const LARGE = '10.0.0.0/16';
  /** Entries with names of this length. */
  function poolOf(entries: number, length: number): IpPool {
    const podref = 'n/'.padEnd(length, 'x');
    const allocations = Object.fromEntries(
      Array.from({ length: entries }, (_, key) => [String(key + 1), { id: 'i'.repeat(64), podref, ifname: 'net1' }]),
    );
    return poolObject('kube-system', '10.0.0.0-16', { range: LARGE, allocations });
  }
  const bytesOf = (pool: IpPool) => JSON.stringify(pool).length;
  const remarks = async ({ node }: ReturnType<typeof cluster>) => {
    const told: string[] = [];
    await transact(node(), [
      {
        caller: CALLER,
        networkName: '',
        asked: { ranges: [LARGE], owners: [], protectOverlaps: true },
        isLook: true,
        isRelease: false,
        plan: (pools) => {
          told.push(...fullnessOf(rangesOf(LARGE), true, pools));
          return [];
        },
      },
    ]);
    return told;
  };

  it('is told of from 80 percent on', async () => {
    const one = cluster();
    one.kube.put('ippools', poolOf(2500, 100));
    expect(await remarks(one)).toEqual([]);
    one.kube.put('ippools', poolOf(9000, 41));
    expect(await remarks(one)).toEqual([
      expect.stringMatching(/^the object of pool "10\.0\.0\.0-16" has 9000 addresses and 8[0-9] % of the size/),
    ]);
  });

  const LONG = `${'m/'.padEnd(41, 'x')} net1 ${'j'.repeat(64)}`;

  it('takes nothing more before etcd refuses it: nothing is written, and what gives back still works', async () => {
    const { kube, node, add, entries: held } = cluster();
    const perEntry = bytesOf(poolOf(10_001, 41)) - bytesOf(poolOf(10_000, 41));
    const entries = 10_000 + Math.floor((MOST_BYTES - 120 - bytesOf(poolOf(10_000, 41))) / perEntry);
    const pool = poolOf(entries, 41);
    const one = { '60000': { id: 'idX', podref: 'x/y', ifname: 'net1' } };
    kube.put('ippools', {
      ...pool,
      spec: { ...pool.spec, allocations: { ...pool.spec.allocations, ...one } },
    } as IpPool);
    kube.counted();
    await expect(add(LONG, [LARGE])).rejects.toThrow(
      expect.objectContaining({
        code: 100,
        message: expect.stringMatching(
          /^cannot reserve in pool "10\.0\.0\.0-16": its object has \d+ addresses and cannot/,
        ),
      }),
    );
    expect(kube.counted()).toBe('GET 1');
    expect(await add('a/b net1 id', [RANGE])).toEqual(['10.0.0.1']);
    const before = held().length;
    await transact(node(), [releasing('x/y net1 idX', [LARGE])]);
    expect(held().length).toBe(before - 1);
  });

  it('is as large as it is without what the server notes of its fields, which it can drop', async () => {
    const one = cluster();
    const pool = poolOf(6000, 41);
    const managedFields = [{ fieldsV1: { 'f:spec': 'x'.repeat(1024 * 1024) } }];
    one.kube.put('ippools', { ...pool, metadata: { ...pool.metadata, managedFields } } as IpPool);
    expect(await remarks(one)).toEqual([]);
    expect(await one.add('a/b net1 id', [LARGE])).toEqual(['10.0.23.113']);
  });

  it('takes more where it is larger already: this etcd was told to', async () => {
    const { kube, add } = cluster();
    kube.put('ippools', poolOf(11_000, 41));
    expect(await add('a/b net1 id', [LARGE])).toEqual(['10.0.42.249']);
  });
});
