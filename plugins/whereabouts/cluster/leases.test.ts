import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../../lib/sys/database.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import type { Caller, Step } from '../engine.ts';
import { FakeKube, type Request } from '../testing/fake-kube.ts';
import { CALLER, releasing, reserving } from '../testing/steps.ts';
import { Hearers } from './hearers.ts';
import type { LeaseObject } from './lease-object.ts';
import { type IpPool, poolObject } from './objects.ts';
import { NOTHING_RECENT } from './recent.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { ClusterStore } from './store.ts';

const RANGE = '10.0.0.0/24';
const OTHER: LeaseObject = {
  metadata: { name: 'whereabouts' },
  spec: {
    holderIdentity: 'lab/other',
    leaseDurationSeconds: 3600,
    acquireTime: '2020-01-01T00:00:00.000000Z',
    renewTime: '2020-01-01T00:00:00.000000Z',
    leaseTransitions: 7,
  },
};

/** A node that changes pools under the lease, whose calls are processes of their own. */
function node() {
  const folder = temporaryFolder();
  const kube = new FakeKube();
  const clock = { ms: 0 };
  const lines: string[] = [];
  const sleep = async (ms: number): Promise<void> => {
    clock.ms += ms;
  };
  const caller: Caller = { now: () => clock.ms, sleep, log: (line) => lines.push(line), span: CALLER.span };
  const place = { concurrency: 'lease', kubeconfig: '/k', dataDir: join(folder.path, 'data') } as const;
  const call = async (...steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]> => {
    using store = new ClusterStore(place, {
      access: { open: async () => kube, [Symbol.dispose]: () => undefined },
      journal: new SqliteJournal(place, openDatabase, caller, () => clock.ms),
      recents: NOTHING_RECENT,
      turns: { serve: (steps, work) => work(steps) },
      hearers: new Hearers(),
    });
    return await store.serve(steps);
  };
  const add = async (who: string, range = RANGE) => {
    const one = reserving(who, [range], { caller });
    const [outcome] = await call(one.step);
    return outcome?.status === 'rejected' ? Promise.reject(outcome.reason) : one.given[0];
  };
  const del = (who: string) => call(releasing(who, [RANGE], { caller }));
  const lease = (name = 'whereabouts') =>
    kube.all<LeaseObject>('leases').find(({ metadata }) => metadata.name === name);
  const held = () => kube.all<IpPool>('ippools').flatMap(({ spec }) => Object.keys(spec.allocations ?? {}));
  return { kube, clock, lines, caller, call, add, del, lease, held, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** Something happens once, before the first request of a kind. */
const justBefore = (verb: Request['verb'], plural: string, happen: () => void) => {
  let isDone = false;
  return (request: Request) => {
    if (!isDone && request.verb === verb && request.plural === plural) {
      isDone = true;
      happen();
    }
    return 'none' as const;
  };
};

describe('a call under the lease', () => {
  it('takes it, tests the whole pool, and leaves it', async () => {
    using one = node();
    await one.add('a/b net1 id');
    one.kube.counted();
    expect(await one.add('a/c net1 id2')).toBe('10.0.0.2');
    expect(one.kube.counted()).toBe('GET 2, PATCH 3, POST 1');
    expect(one.lease()?.spec).toMatchObject({ leaseDurationSeconds: 1, leaseTransitions: 1 });
    expect(one.lease()?.spec?.holderIdentity).toBeUndefined();
    await one.del('a/b net1 id');
    expect([one.held(), one.kube.counted()]).toEqual([['2'], 'DELETE 1, GET 2, PATCH 3']);
  });

  it('is known by pod, container and something of its own', async () => {
    using one = node();
    const holders: (string | undefined)[] = [];
    one.kube.use({
      mishap: ({ plural }) => {
        if (plural === 'ippools') {
          holders.push(one.lease()?.spec?.holderIdentity);
        }
        return 'none';
      },
    });
    await one.add('a/b net1 id');
    await one.add('a/b net1 id');
    expect(holders[0]).toMatch(/^a\/b\/id\/[0-9a-f]{8}$/);
    expect(holders.every((holder) => holder !== undefined)).toBe(true);
    expect(new Set(holders).size).toBe(2);
  });

  it('is refused when anything of the pool has changed', async () => {
    using one = node();
    await one.add('a/b net1 id');
    const changed = () => {
      const [pool] = one.kube.all<IpPool>('ippools');
      one.kube.put(
        'ippools',
        poolObject('', '10.0.0.0-24', {
          range: RANGE,
          allocations: { ...pool?.spec.allocations, '9': { id: 'x', podref: 'x/y', ifname: 'net1' } },
        }),
      );
    };
    one.kube.use({ mishap: justBefore('PATCH', 'ippools', changed) });
    one.kube.counted();
    expect(await one.add('a/c net1 id2')).toBe('10.0.0.2');
    expect(one.kube.counted()).toBe('GET 3, PATCH 4, POST 1');
  });

  it('writes nothing more once it has lost it, and gives back later what it had', async () => {
    using one = node();
    await one.add('a/b net1 id');
    const lost = () => {
      one.kube.put('leases', OTHER);
      one.clock.ms += 1000;
    };
    one.kube.use({ mishap: justBefore('POST', 'overlappingrangeipreservations', lost) });
    one.kube.requests.length = 0;
    await expect(one.add('a/c net1 id2')).rejects.toMatchObject({
      code: 11,
      message: 'cannot go on: lease "whereabouts" is lost: "lab/other" has it',
    });
    const writes = one.kube.requests
      .filter(({ verb }) => verb !== 'GET')
      .map(({ verb, plural }) => `${verb} ${plural}`);
    expect(writes).toEqual(['PATCH leases', 'POST overlappingrangeipreservations', 'PATCH leases']); // the last is refused
    expect(one.lines).toEqual([expect.stringContaining('addresses that nobody was given are given back later')]);
    expect([one.lease()?.spec, one.held()]).toEqual([OTHER.spec, ['1']]);
    one.kube.drop('leases', 'whereabouts');
    one.clock.ms += 1000;
    expect(await one.add('a/d net1 id3')).toBe('10.0.0.3');
    expect(one.kube.all('overlappingrangeipreservations').map(({ metadata }) => metadata.name)).toEqual([
      '10.0.0.1',
      '10.0.0.3',
    ]);
  });

  it('waits for it for a minute, and then is to be tried again', async () => {
    using one = node();
    one.kube.put('leases', OTHER);
    await expect(one.add('a/b net1 id')).rejects.toMatchObject({
      code: 11,
      message: expect.stringContaining('time limit exceeded while waiting to become leader: "lab/other" has it'),
    });
    expect(one.clock.ms).toBe(60_000);
    expect(one.held()).toEqual([]);
  });

  it('that deletes waits for half a minute, succeeds, and is finished later', async () => {
    using one = node();
    await one.add('a/b net1 id');
    one.kube.put('leases', OTHER);
    const start = one.clock.ms;
    expect(await one.del('a/b net1 id')).toEqual([{ status: 'fulfilled', value: undefined }]);
    expect([one.clock.ms - start, one.held()]).toEqual([30_000, ['1']]);
    expect(one.lines).toEqual([expect.stringContaining('what container id net1 holds is given back later')]);
    one.kube.drop('leases', 'whereabouts');
    one.clock.ms += 1000;
    await one.add('a/c net1 id2');
    expect(one.held()).toEqual(['2']);
  });

  it('that only looks takes none', async () => {
    using one = node();
    one.kube.put('leases', OTHER);
    const look: Step = { ...releasing('a/b net1 id', [RANGE], { caller: one.caller }), isLook: true, plan: () => [] };
    expect(await one.call(look)).toEqual([{ status: 'fulfilled', value: undefined }]);
    expect(one.kube.requests.filter(({ plural }) => plural === 'leases')).toEqual([]);
  });

  it('takes that of the pool where a node has a slice, and several in an order', async () => {
    using one = node();
    one.kube.put('leases', OTHER);
    const keys = ['10.0.0.64/26@w-1', '10.0.0.0/26@w-1'];
    const slices = reserving('a/b net1 id', [RANGE], { caller: one.caller, networkName: 'blue' });
    const step: Step = { ...slices.step, asked: { ...slices.step.asked, ranges: keys }, plan: () => [] };
    expect(await one.call(step)).toEqual([{ status: 'fulfilled', value: undefined }]);
    expect(one.kube.all('leases').map(({ metadata }) => metadata.name)).toEqual([
      'whereabouts',
      'blue-w-1-10.0.0.0-26',
      'blue-w-1-10.0.0.64-26',
    ]);
  });
});
