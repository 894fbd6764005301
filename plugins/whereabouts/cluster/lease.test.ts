import { describe, expect, it } from 'vitest';
import { ApiError } from '../../../lib/kube/api.ts';
import { FakeKube, type FakeKubeOptions, type Mishap } from '../testing/fake-kube.ts';
import { Lease } from './lease.ts';
import type { LeaseObject } from './lease-object.ts';

const TIMING = { durationMs: 1500, renewMs: 1000, retryMs: 500 };
const PATIENT = { deadline: 60_000, silenceMs: 30_000 };
const START = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

/** A server and those who want its lease; waits take no time, but the clock goes on. */
function cluster() {
  const kube = new FakeKube();
  const clock = { ms: 0, each: async (): Promise<void> => undefined };
  const sleep = async (ms: number): Promise<void> => {
    clock.ms += ms;
    await clock.each();
  };
  const caller = { now: () => clock.ms, sleep };
  const lease = (identity: string, timing = TIMING, api: FakeKube = kube): Lease =>
    new Lease({
      api,
      name: 'whereabouts',
      identity,
      timing,
      caller,
      wallClock: () => START + clock.ms,
      random: () => 0,
    });
  const stored = () => kube.all<LeaseObject>('leases')[0];
  const put = (spec: LeaseObject['spec']) =>
    kube.put('leases', { metadata: { name: 'whereabouts' }, spec } as LeaseObject);
  return { kube, clock, lease, stored, put };
}

const others = (spec: LeaseObject['spec'] = {}) => ({
  holderIdentity: 'lab/other',
  leaseDurationSeconds: 1,
  acquireTime: '2020-01-01T00:00:00.000000Z',
  renewTime: '2020-01-01T00:00:00.000000Z',
  leaseTransitions: 7,
  ...spec,
});

describe('a lease', () => {
  it('is made by who takes it first, as client-go writes it, and is left as client-go leaves it', async () => {
    const { kube, clock, lease, stored } = cluster();
    const one = lease('lab/a/id/0a');
    await one.acquire(PATIENT);
    expect(stored()).toMatchObject({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'whereabouts', namespace: 'kube-system' },
      spec: {
        holderIdentity: 'lab/a/id/0a',
        leaseDurationSeconds: 1, // of 1,500 ms
        acquireTime: '2026-01-02T03:04:05.678000Z',
        renewTime: '2026-01-02T03:04:05.678000Z',
        leaseTransitions: 0,
      },
    });
    clock.ms += 2000;
    await one.release();
    expect(stored()?.spec).toEqual({
      leaseDurationSeconds: 1,
      acquireTime: '2026-01-02T03:04:07.678000Z',
      renewTime: '2026-01-02T03:04:07.678000Z',
      leaseTransitions: 0,
    });
    expect(kube.counted()).toBe('GET 1, PATCH 1, POST 1');
    await lease('lab/b').acquire(PATIENT);
    expect(stored()?.spec).toMatchObject({ holderIdentity: 'lab/b', leaseTransitions: 1 });
  });

  it.each([
    ['with an empty holder', others({ holderIdentity: '' })],
    ['without anything in it', undefined],
  ])('%s is taken at once', async (_, spec) => {
    const { clock, lease, put, stored } = cluster();
    put(spec);
    await lease('lab/a').acquire(PATIENT);
    expect([clock.ms, stored()?.spec?.holderIdentity]).toEqual([0, 'lab/a']);
  });

  it.each([1, 3, 15])(
    'of a holder who was killed is taken %i s after it was first seen, whatever its times say',
    async (seconds) => {
      const { clock, lease, put, stored } = cluster();
      put(others({ leaseDurationSeconds: seconds, renewTime: '2031-01-01T00:00:00.000000Z' }));
      await lease('lab/a').acquire(PATIENT);
      expect(clock.ms).toBe(seconds * 1000);
      expect(stored()?.spec).toMatchObject({ holderIdentity: 'lab/a', leaseTransitions: 8, leaseDurationSeconds: 1 });
    },
  );

  it('is not taken as long as its holder renews it', async () => {
    const { clock, lease, stored } = cluster();
    const [first, second] = [lease('lab/a'), lease('lab/b')];
    await first.acquire(PATIENT);
    const limit = { deadline: 10_000, silenceMs: 1000 };
    clock.each = () => first.keep();
    await expect(second.acquire(limit)).rejects.toMatchObject({
      code: 11,
      message: 'cannot take lease "whereabouts": time limit exceeded while waiting to become leader: "lab/a" has it',
    });
    expect(stored()?.spec).toMatchObject({ holderIdentity: 'lab/a', leaseTransitions: 0 });
    expect(stored()?.spec?.renewTime).not.toBe(stored()?.spec?.acquireTime);
    await first.confirm();
  });

  it('is renewed at each tick of a timer that has begun before it was had', async () => {
    const { kube, clock, lease } = cluster();
    const one = lease('lab/a');
    clock.ms = 20;
    await one.acquire(PATIENT);
    kube.counted();
    for (clock.ms = 500; clock.ms <= 2000; clock.ms += 500) {
      await one.keep();
      await one.keep();
    }
    expect(kube.counted()).toBe('PATCH 4');
  });

  it('that somebody else has taken is not confirmed, and is not given back', async () => {
    const { clock, lease, put, stored } = cluster();
    const one = lease('lab/a');
    await one.acquire(PATIENT);
    put(others());
    clock.ms += 600;
    await one.keep();
    await expect(one.confirm()).rejects.toMatchObject({
      code: 11,
      message: 'cannot go on: lease "whereabouts" is lost: "lab/other" has it',
    });
    await one.release();
    expect(stored()?.spec).toEqual(others());
  });

  it.each([
    [
      'was renewed late',
      ({ clock }: ReturnType<typeof cluster>) => {
        clock.ms += 9000;
      },
      true,
    ],
    [
      'has got a label',
      ({ kube, stored, clock }: ReturnType<typeof cluster>) => {
        const own = stored();
        kube.put('leases', { ...own, metadata: { name: 'whereabouts', labels: { a: 'b' } } } as LeaseObject);
        clock.ms += 9000;
      },
      true,
    ],
    [
      'is gone',
      ({ kube, clock }: ReturnType<typeof cluster>) => {
        kube.drop('leases', 'whereabouts');
        clock.ms += 9000;
      },
      false,
    ],
    [
      'cannot be renewed',
      ({ kube, clock }: ReturnType<typeof cluster>) => {
        kube.use({ mishap: () => 'refused' });
        clock.ms += 9000;
      },
      false,
    ],
    [
      'cannot be renewed now, but was a moment ago',
      ({ kube, clock }: ReturnType<typeof cluster>) => {
        kube.use({ mishap: () => 'refused' });
        clock.ms += 900;
      },
      true,
    ],
  ] as const)('that %s and that nobody else has had: confirmed %#', async (_, happen, isHeld) => {
    const all = cluster();
    const one = all.lease('lab/a');
    await one.acquire(PATIENT);
    happen(all);
    await one.keep();
    await (isHeld ? one.confirm() : expect(one.confirm()).rejects.toMatchObject({ code: 11 }));
  });

  it('is good for its stored seconds at most, however late it may be renewed', async () => {
    const { kube, clock, lease } = cluster();
    const one = lease('lab/a', { durationMs: 1900, renewMs: 1800, retryMs: 1000 });
    await one.acquire(PATIENT);
    kube.use({ mishap: () => 'refused' });
    clock.ms += 999;
    await one.confirm();
    clock.ms += 1;
    await expect(one.confirm()).rejects.toThrow('is lost: connect ECONNREFUSED');
  });

  it('cannot be had when nobody answers, at once when it is forbidden', async () => {
    const { kube, clock, lease } = cluster();
    kube.use({ mishap: () => 'refused' });
    await expect(lease('lab/a').acquire({ deadline: 30_000, silenceMs: 3000 })).rejects.toMatchObject({ code: 11 });
    expect(clock.ms).toBe(3000);
    kube.use({});
    kube.get = async () =>
      Promise.reject(new ApiError('cannot get leases: forbidden', { status: 403, reason: 'Forbidden' }));
    await expect(lease('lab/a').acquire(PATIENT)).rejects.toMatchObject({ code: 999 });
    expect(clock.ms).toBe(3000);
  });

  it.each<Mishap>(['lost request', 'lost answer', 504, 500, 429, 'late', 409])(
    'is had by one at most while any request may end as %s',
    async (mishap) => {
      const calls = Array.from({ length: 12 }, (_, index) => `lab/p${index}`);
      const { events, stored } = await storm(calls, {
        mishap: () => (Math.random() < 0.3 ? mishap : 'none'),
        delay: () => Math.floor(Math.random() * 4),
      });
      // Once another one has been inside, who was before is not any more.
      const blocks = events.filter((who, index) => who !== events[index - 1]);
      expect(new Set(blocks).size).toBe(blocks.length);
      expect(new Set(events.map((who) => who.slice(0, who.lastIndexOf('/'))))).toEqual(new Set(calls));
      expect(stored()).toMatchObject({ spec: { leaseDurationSeconds: 1 } });
    },
  );
});

/** All take the lease and work under it, some get stuck; time passes when nobody has anything to do. */
async function storm(calls: readonly string[], options: FakeKubeOptions) {
  const kube = new FakeKube(options);
  const waiting: { at: number; wake: () => void }[] = [];
  let now = 0;
  const sleep = (ms: number) => new Promise<void>((wake) => waiting.push({ at: now + ms, wake }));
  const caller = { now: () => now, sleep };
  const events: string[] = [];
  let left = calls.length;
  const works = async (lease: Lease, who: string, isStuck: boolean): Promise<boolean> => {
    try {
      for (let work = 0; work < 5; work++) {
        await lease.confirm();
        events.push(who);
        await sleep(isStuck && work === 2 ? 5000 : 100);
        await lease.keep();
      }
      return true;
    } catch {
      return false;
    }
  };
  const run = async (identity: string, index: number): Promise<void> => {
    const parts = { api: kube, name: 'whereabouts', timing: TIMING, caller, wallClock: () => now, random: Math.random };
    for (let attempt = 0; ; attempt++) {
      const lease = new Lease({ ...parts, identity: `${identity}/${attempt}` });
      await lease.acquire({ deadline: now + 1e9, silenceMs: 1e9 });
      if (await works(lease, `${identity}/${attempt}`, index % 3 === 0 && attempt === 0)) {
        if (index % 4 !== 1) {
          await lease.release(); // the others are killed
        }
        break;
      }
    }
    left--;
  };
  const all = Promise.all(calls.map(run));
  while (left > 0) {
    for (let turn = 0; turn < 60; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    waiting.sort((a, b) => a.at - b.at);
    const next = waiting.shift();
    now = Math.max(now, next?.at ?? now);
    next?.wake();
  }
  await all;
  return { events, stored: () => kube.all<LeaseObject>('leases')[0] };
}
