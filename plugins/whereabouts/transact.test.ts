import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import { fakeScope } from '../../lib/cni/testing/fake-scope.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { seeded } from '../../lib/sys/testing/seeded.ts';
import type { Caller, Step } from './engine.ts';
import { planRelease, planReservation } from './plan.ts';
import { owner, rangesOf } from './testing/fixtures.ts';
import { SharedServer } from './testing/shared-server.ts';
import { transact } from './transact.ts';

const pauses: number[] = [];
const CALLER: Caller = fakeScope({ sleep: (ms) => void pauses.push(ms) });

/** A step that reserves, and what it was given the last time that it was planned. */
function reserving(who: string, ...ranges: readonly string[]) {
  const given: string[] = [];
  const request = { owner: owner(who), ranges: rangesOf(...ranges), protectOverlaps: true };
  const step: Step = {
    caller: CALLER,
    networkName: '',
    asked: { ranges, owners: [], protectOverlaps: true },
    isLook: false,
    isRelease: false,
    plan: (pools) => {
      const { answer, changes } = planReservation(request, pools);
      given.splice(0, given.length, ...answer.map(formatIp));
      return changes;
    },
  };
  return { step, given };
}

function releasing(who: string): Step {
  const { id, ifname } = owner(who);
  return {
    caller: CALLER,
    networkName: '',
    asked: { ranges: 'held', owners: [{ id, ifname, podref: '' }], protectOverlaps: false },
    isLook: false,
    isRelease: true,
    plan: (pools) => planRelease({ id, ifname }, pools).changes,
  };
}

describe('transact', () => {
  it('takes all steps as one change, each as if those before it were recorded', async () => {
    const server = new SharedServer();
    const all = [
      reserving('a/b net1 id', '10.0.0.0/24'),
      reserving('a/b net2 id', '10.0.0.0/24', 'fd00::/64'),
      reserving('a/b net1 id', '10.0.0.0/24'),
    ];
    const outcomes = await transact(
      server.engine(),
      all.map(({ step }) => step),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(all.map(({ given }) => given)).toEqual([['10.0.0.1'], ['10.0.0.2', 'fd00::1'], ['10.0.0.1']]);
    expect(server.held).toHaveLength(3);
    expect(server.loads).toEqual([['10.0.0.0/24'], ['10.0.0.0/24', 'fd00::/64'], ['10.0.0.0/24']]);
  });

  it('passes over a step that cannot be taken, and takes nothing for it', async () => {
    const server = new SharedServer();
    const fill = ['x/1 net1 i1', 'x/2 net1 i2'].map((who) => reserving(who, '10.1.0.0/30').step);
    await transact(server.engine(), fill);
    const [full, fine] = [
      reserving('a/b net1 id', '10.0.0.0/24', '10.1.0.0/30'),
      reserving('a/b net2 id', '10.0.0.0/24'),
    ];
    const outcomes = await transact(server.engine(), [full.step, fine.step]);
    expect(outcomes).toMatchObject([{ status: 'rejected', reason: { code: 999 } }, { status: 'fulfilled' }]);
    expect([fine.given, server.held.length]).toEqual([['10.0.0.1'], 3]);
  });

  it('plans again with what is new when somebody was faster', async () => {
    let isFirst = true;
    const server = new SharedServer();
    const engine = server.engine();
    const slow = {
      load: async (steps: readonly Step[]) => {
        const loaded = await engine.load(steps);
        if (isFirst) {
          isFirst = false;
          await transact(server.engine(), [reserving('x/y net1 idX', '10.0.0.0/24').step]);
        }
        return loaded;
      },
    };
    const late = reserving('a/b net1 id', '10.0.0.0/24');
    await transact(slow, [late.step]);
    expect([late.given, server.conflicts]).toEqual([['10.0.0.2'], 1]);
  });

  it('gives up with code 11 when others are faster each time, and says how often it tried', async () => {
    pauses.length = 0;
    const engine = new SharedServer().engine();
    const busy = {
      load: async (steps: readonly Step[]) =>
        Object.assign(await engine.load(steps), { commit: async () => 'conflict' as const }),
    };
    const lost = transact(busy, [reserving('a/b net1 id', '10.0.0.0/24').step]);
    await expect(lost).rejects.toMatchObject({
      code: 11,
      message: 'cannot change the pools: others have changed them at each of 30 tries',
    });
    expect(pauses).toHaveLength(30);
    expect(pauses.every((ms) => ms > 0 && ms <= 200)).toBe(true);
  });

  it.each([['lost answer'], ['lost request']] as const)('finds out what became of a commit: %s', async (mishap) => {
    const mishaps = [mishap, 'none' as const];
    const server = new SharedServer({ mishap: () => mishaps.shift() ?? 'none' });
    const one = reserving('a/b net1 id', '10.0.0.0/24', 'fd00::/64');
    await transact(server.engine(), [one.step]);
    expect([one.given, server.held.length]).toEqual([['10.0.0.1', 'fd00::1'], 2]);
    mishaps.push(mishap);
    await transact(server.engine(), [releasing('a/b net1 id')]);
    expect(server.held).toEqual([]);
  });

  it('ends with what the engine throws, which means that nothing was changed', async () => {
    const server = new SharedServer();
    const engine = server.engine();
    const disposed: string[] = [];
    const full = {
      load: async (steps: readonly Step[]) =>
        Object.assign(await engine.load(steps), {
          commit: async () => Promise.reject(new CniError('ioFailure', 'no space left')),
          [Symbol.asyncDispose]: async () => void disposed.push('loaded'),
        }),
    };
    await expect(transact(full, [reserving('a/b net1 id', '10.0.0.0/24').step])).rejects.toThrow('no space');
    expect([disposed, server.held]).toEqual([['loaded'], []]);
  });

  it('doubles and loses nothing where many change the same pools and answers are late, lost and out of order', async () => {
    const random = seeded();
    const server = new SharedServer({
      mishap: () => random.pick(['none', 'none', 'none', 'none', 'none', 'lost answer', 'lost request']),
      delay: () => random.below(4),
    });
    const engine = server.engine();
    const held = new Map<string, readonly string[]>();
    const churn = async (client: number) => {
      for (let round = 0; round < 25; round++) {
        const who = `a/p${client} net${random.below(2)} id${client}`;
        if (random.below(3) === 0) {
          await transact(engine, [releasing(who)]);
          held.delete(who);
        } else {
          const one = reserving(who, '10.0.0.0/26', ...(random.below(2) === 0 ? ['fd00::/120'] : []));
          await transact(engine, [one.step]);
          held.set(who, one.given.length < 2 ? [...one.given, ...(held.get(who)?.slice(1) ?? [])] : [...one.given]);
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, client) => churn(client)));
    const given = [...held.values()].flat();
    const what = `seed ${random.seed}`;
    expect(new Set(given).size, what).toBe(given.length);
    expect(server.held.map(({ ip }) => formatIp(ip)).sort(), what).toEqual([...given].sort());
    expect(server.conflicts, what).toBeGreaterThan(0);
  });
});
