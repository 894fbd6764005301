import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../../lib/cni/errors.ts';
import { openDatabase } from '../../../lib/sys/database.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import type { Caller, Step } from '../engine.ts';
import { FakeKube, type Mishap } from '../testing/fake-kube.ts';
import { CALLER, releasing, reserving } from '../testing/steps.ts';
import { Hearers } from './hearers.ts';
import { type IpPool, poolObject } from './objects.ts';
import { recentsIn } from './recent.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { ClusterStore } from './store.ts';

const RANGE = '10.0.0.0/24';
const TINY = '10.0.1.0/30';

/** A node of a cluster, whose calls are processes of their own: nothing but the journal outlives them. */
function node() {
  const folder = temporaryFolder();
  const kube = new FakeKube();
  const clock = { ms: 0 };
  const lines: string[] = [];
  const sleep = async (ms: number): Promise<void> => {
    clock.ms += ms;
  };
  const caller: Caller = { now: () => clock.ms, sleep, log: (line) => lines.push(line), span: CALLER.span };
  const place = { concurrency: 'cas', kubeconfig: '/k', dataDir: join(folder.path, 'data') } as const;
  const open = (): ClusterStore =>
    new ClusterStore(place, {
      access: { open: async () => kube, [Symbol.dispose]: () => undefined },
      journal: new SqliteJournal(place, openDatabase, caller, () => clock.ms),
      recents: recentsIn(place.dataDir, () => clock.ms),
      turns: { serve: (steps, work, around) => (around ?? ((_, inner) => inner()))(steps, () => work(steps)) },
      hearers: new Hearers(),
    });
  const call = async (...steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]> => {
    using store = open();
    return await store.serve(steps);
  };
  const add = async (who: string, range = RANGE): Promise<string | undefined> => {
    const one = reserving(who, [range], { caller });
    const [outcome] = await call(one.step);
    if (outcome?.status === 'rejected') {
      throw outcome.reason;
    }
    return one.given[0];
  };
  const del = (who: string, ranges: Parameters<typeof releasing>[1] = [RANGE]) =>
    call(releasing(who, ranges, { caller }));
  const probe = async (): Promise<void> => {
    using store = open();
    await store.probe(caller);
  };
  const held = (): readonly string[] =>
    kube
      .all<IpPool>('ippools')
      .flatMap(({ spec }) => Object.entries(spec.allocations ?? {}).map(([key, { id }]) => `${key} ${id}`));
  const isDown = (mishap: Mishap = 'refused'): void => kube.use({ mishap: () => mishap });
  const isUp = (): void => kube.use({});
  return { kube, clock, lines, caller, place, open, call, add, del, probe, held, isDown, isUp, folder };
}

const nothingHeld = ({ kube, held }: ReturnType<typeof node>) => [held(), kube.all('overlappingrangeipreservations')];

describe('a pool that took long to change', () => {
  it('is changed in turn by nodes, and only while that was a moment ago', async () => {
    const one = node();
    const kinds = (): readonly string[] => one.kube.requests.splice(0).map(({ verb, plural }) => `${verb} ${plural}`);
    await one.add('a/b net1 id');
    kinds();
    one.kube.use({
      mishap: ({ verb, plural }) => {
        one.clock.ms += verb === 'PATCH' && plural === 'ippools' ? 100 : 0;
        return 'none';
      },
    });
    await one.add('a/c net1 idC');
    expect(kinds(), 'nobody knew').not.toContain('POST leases');
    await one.add('a/d net1 idD');
    expect(kinds()).toEqual([
      'PATCH leases',
      'POST leases',
      'GET ippools',
      'POST overlappingrangeipreservations',
      'PATCH ippools',
      'PATCH leases',
    ]);
    one.clock.ms += 11_000;
    await one.add('a/e net1 idE');
    expect(kinds()).not.toContain('PATCH leases');
    one.folder[Symbol.dispose]();
  });
});

describe('a store that outlives a call', () => {
  it('tells each call what it meets, and nobody who is gone', async () => {
    const one = node();
    using store = one.open();
    const logOf = async (who: string): Promise<readonly string[]> => {
      const lines: string[] = [];
      const caller = { ...one.caller, log: (line: string) => lines.push(line) };
      await store.serve([releasing(who, [RANGE], { caller })]);
      return lines;
    };
    await one.add('a/b net1 id');
    await one.add('a/c net1 idC');
    one.isDown();
    expect(await logOf('a/b net1 id')).toEqual([expect.stringContaining('what container id net1 holds')]);
    expect(await logOf('a/c net1 idC')).toEqual([expect.stringContaining('what container idC net1 holds')]);
    expect(one.lines).toEqual([]);
    one.folder[Symbol.dispose]();
  });
});

describe('DEL', () => {
  it('asks the server for nothing that the journal knows', async () => {
    const one = node();
    await one.add('a/b net1 id');
    one.kube.counted();
    await one.del('a/b net1 id');
    expect([one.kube.counted(), ...nothingHeld(one)]).toEqual(['DELETE 1, PATCH 1', [], []]);
    await one.del('a/b net1 id');
    expect(one.kube.counted()).toBe('GET 1');
    one.folder[Symbol.dispose]();
  });

  it.each(['refused', 'lost request', 500, 504] as const)(
    'succeeds when the server is away (%s), says so, and is finished by the next call',
    async (mishap) => {
      const one = node();
      await one.add('a/b net1 id');
      await one.add('a/c net1 idC');
      one.isDown(mishap);
      expect(await one.del('a/b net1 id')).toEqual([{ status: 'fulfilled', value: undefined }]);
      expect(one.lines).toEqual([expect.stringContaining('what container id net1 holds is given back later')]);
      one.isUp();
      one.clock.ms += 1000;
      await one.del('a/c net1 idC');
      expect(nothingHeld(one)).toEqual([[], []]);
      one.kube.counted();
      await one.add('x/y net1 idX');
      expect(one.kube.counted(), 'nothing is left to do').toBe('GET 1, PATCH 1, POST 1');
      one.folder[Symbol.dispose]();
    },
  );

  it('does not wait for a server again that was silent a moment ago', async () => {
    const one = node();
    for (const who of ['a', 'b', 'c']) {
      await one.add(`lab/${who} net1 ${who}`);
    }
    one.isDown();
    const waits: number[] = [];
    for (const who of ['a', 'b', 'c']) {
      const begin = one.clock.ms;
      await one.del(`lab/${who} net1 ${who}`);
      waits.push(one.clock.ms - begin);
    }
    const [first = 0, ...others] = waits;
    expect(first).toBeGreaterThan(2000);
    expect(Math.max(...others)).toBeLessThan(1500); // the last pause may be a long one
    one.folder[Symbol.dispose]();
  });

  it('of a container that nobody has heard of is finished later too', async () => {
    const one = node();
    one.kube.put(
      'ippools',
      poolObject('', '10.0.0.0-24', {
        range: RANGE,
        allocations: { '9': { id: 'id', podref: 'a/b', ifname: 'net1' } },
      }),
    );
    one.isDown();
    await one.del('a/b net1 id');
    one.isUp();
    one.clock.ms += 1000;
    await one.add('x/y net1 idX');
    expect(one.held()).toEqual(['1 idX']);
    one.folder[Symbol.dispose]();
  });

  it('that was killed is finished by a later call', async () => {
    const one = node();
    await one.add('a/b net1 id');
    one.kube.use({
      mishap: ({ verb }) => {
        if (verb === 'PATCH') {
          throw new TypeError('killed');
        }
        return 'none';
      },
    });
    await one.del('a/b net1 id').catch(() => undefined);
    one.isUp();
    one.clock.ms += 35_000;
    await one.add('x/y net1 idX');
    expect(one.held()).toEqual(['2 idX']);
    one.folder[Symbol.dispose]();
  });

  it('fails when neither the server nor the journal can be written', async () => {
    const one = node();
    writeFileSync(one.place.dataDir, 'no folder');
    one.isDown();
    expect(await one.del('a/b net1 id')).toMatchObject([{ status: 'rejected', reason: { code: 11 } }]);
    one.isUp();
    expect(await one.add('a/b net1 id')).toBe('10.0.0.1');
    await one.del('a/b net1 id');
    expect(nothingHeld(one)).toEqual([[], []]);
    one.folder[Symbol.dispose]();
  });
});

describe('ADD', () => {
  it('of a container that is still to be deleted deletes it first', async () => {
    const one = node();
    await one.add('a/b net1 id');
    one.isDown();
    await one.del('a/b net1 id');
    one.isUp();
    expect(await one.add('a/b net1 id')).toBe('10.0.0.1');
    one.clock.ms += 400_000;
    await one.add('x/y net1 idX');
    expect(one.held()).toEqual(['1 id', '2 idX']);
    one.folder[Symbol.dispose]();
  });

  it('that was killed leaves nothing after DEL', async () => {
    const one = node();
    let isKilled = true;
    one.kube.use({
      mishap: ({ verb, plural }) => {
        if (verb === 'POST' && plural === 'ippools' && isKilled) {
          isKilled = false;
          throw new TypeError('killed');
        }
        return 'none';
      },
    });
    // What takes back is killed as well.
    const takingBack = one.kube.delete;
    one.kube.delete = async () => Promise.reject(new TypeError('killed'));
    await one.add('a/b net1 id').catch(() => undefined);
    one.kube.delete = takingBack;
    expect(one.kube.all('overlappingrangeipreservations')).toHaveLength(1);
    await one.del('a/b net1 id');
    expect(nothingHeld(one)).toEqual([[], []]);
    one.folder[Symbol.dispose]();
  });

  it('gets an address that is released in the same round', async () => {
    const one = node();
    await one.add('x/1 net1 i1', TINY);
    await one.add('x/2 net1 i2', TINY);
    const late = reserving('a/b net1 id', [TINY], { caller: one.caller });
    const outcomes = await one.call(late.step, releasing('x/2 net1 i2', [TINY], { caller: one.caller }));
    expect([outcomes.map(({ status }) => status), late.given]).toEqual([['fulfilled', 'fulfilled'], ['10.0.1.2']]);
    one.folder[Symbol.dispose]();
  });

  it('is not failed by what another one of the same round meets', async () => {
    const one = node();
    one.kube.put('ippools', poolObject('', '10.0.1.0-30', { range: '10.0.9.0/30', allocations: {} }));
    const [fine, bad] = [
      reserving('a/b net1 id', [RANGE], { caller: one.caller }),
      reserving('a/c net1 idC', [TINY], { caller: one.caller }),
    ];
    const outcomes = await one.call(fine.step, bad.step);
    expect(outcomes).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: expect.any(CniError) }]);
    expect([fine.given, one.held()]).toEqual([['10.0.0.1'], ['1 id']]);
    one.folder[Symbol.dispose]();
  });
});

describe('STATUS', () => {
  it('is fine with a server that answers, and finishes what is left to do', async () => {
    const one = node();
    await one.add('a/b net1 id');
    one.isDown();
    await one.del('a/b net1 id');
    one.isUp();
    one.clock.ms += 1000;
    one.lines.length = 0;
    await one.probe();
    expect([one.lines, ...nothingHeld(one)]).toEqual([[], [], []]);
    one.folder[Symbol.dispose]();
  });

  it('tells that nobody answers, and how much is left to do', async () => {
    const one = node();
    await one.add('a/b net1 id');
    one.isDown();
    await one.del('a/b net1 id');
    await expect(one.probe()).rejects.toThrow(
      'connect ECONNREFUSED; addresses of 1 deleted attachments are still to be given back',
    );
    one.folder[Symbol.dispose]();
  });
});
