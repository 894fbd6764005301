import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../../lib/kube/api.ts';
import type { Caller } from '../engine.ts';
import { FakeKube, type Mishap } from '../testing/fake-kube.ts';
import { CALLER } from '../testing/steps.ts';
import { PoolTurns } from './pool-turns.ts';

interface Lease extends KubeObject {
  readonly spec: { readonly holderIdentity: string };
}

/** Waits pass at once, but others get their turn meanwhile. */
function nodes() {
  const kube = new FakeKube();
  const clock = { ms: 0 };
  const caller: Caller = {
    ...CALLER,
    now: () => clock.ms,
    sleep: async (ms) => {
      clock.ms += ms;
      await sleep(0);
    },
  };
  const turnsOf = (identity: string) => new PoolTurns(kube, caller, identity);
  const holder = () => kube.all<Lease>('leases').map(({ spec }) => spec.holderIdentity);
  return { kube, clock, turnsOf, holder };
}

describe('turns of nodes that change a large pool', () => {
  it('are one after another, and leave a lease that nobody holds', async () => {
    const { turnsOf, holder } = nodes();
    let inside = 0;
    const seen: number[] = [];
    await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map((identity) =>
        turnsOf(identity).during('10.0.0.0-24', async () => {
          seen.push(++inside);
          await sleep(2);
          inside--;
        }),
      ),
    );
    expect(seen).toEqual([1, 1, 1, 1, 1]);
    expect(holder()).toEqual(['']);
  });

  it('pass on from a holder that has died', async () => {
    const { turnsOf, holder, clock } = nodes();
    void turnsOf('dead').during('p', () => new Promise(() => undefined));
    await sleep(1);
    expect(holder()).toEqual(['dead']);
    expect(await turnsOf('next').during('p', async () => holder())).toEqual(['next']);
    expect(clock.ms).toBeGreaterThan(5000);
  });

  it.each<Mishap>(['refused', 500, 'lost answer'])('do without where leases are %s', async (mishap) => {
    const { kube, turnsOf } = nodes();
    kube.use({ mishap: ({ plural }) => (plural === 'leases' ? mishap : 'none') });
    const turns = turnsOf('a');
    expect(await turns.during('p', async () => 'done')).toBe('done');
    kube.counted();
    expect(await turns.during('p', async () => 'done')).toBe('done');
    expect(kube.counted(), 'it is not tried again').toBe('');
  });

  it('end with a change that fails', async () => {
    const { turnsOf, holder } = nodes();
    const failing = turnsOf('a').during('p', async () => {
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(holder()).toEqual(['']);
  });
});
