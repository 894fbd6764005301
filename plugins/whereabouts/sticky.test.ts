import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { formatIp, type Ip } from '../../lib/net/ip.ts';
import { seeded } from '../../lib/sys/testing/seeded.ts';
import { LoadedPools } from './loaded-pools.ts';
import { planRelease, planReservation } from './plan.ts';
import { preferredIn } from './sticky.ts';
import { owner, poolsWith, rangesOf } from './testing/fixtures.ts';

const windowOf = (range: string) => {
  const [first] = rangesOf(range);
  return first?.window ?? { family: 4 as const, first: 0n, last: 0n };
};

const give = (who: string, range: string | JsonObject, pools = poolsWith({}), isSticky = true): string => {
  const request = { owner: owner(who), ranges: rangesOf(range), protectOverlaps: true, isSticky };
  const { changes, answer } = planReservation(request, pools);
  pools.apply(changes);
  return formatIp(answer[0] as Ip);
};

const release = (who: string, pools: LoadedPools) => pools.apply(planRelease(owner(who), pools).changes);

describe('preferredIn', () => {
  it('is the same for a pod and its interface, whichever its container is', () => {
    const window = windowOf('10.0.0.0/24');
    expect(preferredIn(window, owner('a/db-0 net1 x'))).toBe(preferredIn(window, owner('a/db-0 net1 y')));
    expect(preferredIn(window, owner('a/db-0 net1 x'))).not.toBe(preferredIn(window, owner('a/db-0 net2 x')));
  });

  it('never changes: every node of a cluster must find the same', () => {
    const addresses = ['lab/db-0 net1 x', 'lab/db-1 net1 x', 'lab/db-2 net1 x'].map((who) => give(who, '10.0.0.0/24'));
    expect(addresses).toEqual(['10.0.0.248', '10.0.0.213', '10.0.0.7']);
  });

  it('is none for a caller without a pod: it gets the lowest', () => {
    expect(preferredIn(windowOf('10.0.0.0/24'), owner('- net1 x'))).toBeUndefined();
    expect(give('- net1 x', '10.0.0.0/24')).toBe('10.0.0.1');
  });

  it.each(['10.0.0.0/30', '10.0.0.0/24', '10.0.0.0/8', 'fd00::/64', 'fd00::/16'])(
    'lies within %s, and not far from its first address',
    (range) => {
      const window = windowOf(range);
      for (let pod = 0; pod < 200; pod++) {
        const value = preferredIn(window, owner(`lab/p${pod} net1 id`)) ?? -1n;
        expect(value >= window.first && value <= window.last && value - window.first < 65_536n).toBe(true);
      }
    },
  );
});

/** The pod lab/db-0 prefers the last address. */
const END = { range: '10.0.0.0/24', exclude: ['10.0.0.249', '10.0.0.250/31', '10.0.0.252/30'] };

describe('a sticky pod', () => {
  it('takes the next address when somebody has its own, past exclusions, and around the end', () => {
    const pools = poolsWith({ '10.0.0.0/24': { '248': 'x/y net1 idX' } });
    const range = { range: '10.0.0.0/24', exclude: ['10.0.0.249', '10.0.0.250'] };
    expect(give('lab/db-0 net1 id', range, pools)).toBe('10.0.0.251');
    const end = { ...range, exclude: ['10.0.0.1', '10.0.0.249', '10.0.0.250', '10.0.0.251', '10.0.0.252/30'] };
    expect(give('lab/db-0 net1 id', end, poolsWith({ '10.0.0.0/24': { '248': 'x/y net1 idX' } }))).toBe('10.0.0.2');
  });

  it('gets two addresses of a range that is written twice, and the same two again', () => {
    const twice = {
      owner: owner('lab/db-0 net1 id'),
      ranges: rangesOf(END, END),
      protectOverlaps: true,
      isSticky: true,
    };
    const pools = poolsWith({});
    const { changes, answer } = planReservation(twice, pools);
    pools.apply(changes);
    expect(answer.map(formatIp)).toEqual(['10.0.0.248', '10.0.0.1']);
    expect(planReservation(twice, pools)).toEqual({ changes: [], answer });
  });

  it('takes whatever is left of a range', () => {
    const pools = poolsWith({});
    const given = Array.from({ length: 14 }, (_, pod) => give(`lab/p${pod} net1 id${pod}`, '10.0.0.0/28', pools));
    expect(new Set(given).size).toBe(14);
    expect(() => give('lab/last net1 id', '10.0.0.0/28', pools)).toThrow('Could not allocate IP in range');
  });

  it('has its address again after a restart of all, one after the other', () => {
    const pools = poolsWith({});
    const pods = Array.from({ length: 120 }, (_, pod) => `lab/db-${pod} net1 `);
    const before = pods.map((pod, at) => give(`${pod}old${at}`, '10.0.0.0/24', pools));
    const after = pods.map((pod, at) => {
      release(`${pod}old${at}`, pools);
      return give(`${pod}new${at}`, '10.0.0.0/24', pools);
    });
    // Only a pod that had to step aside, and finds its own address free by now, moves: none does while all others stay.
    expect(after).toEqual(before);
  });

  it.each([
    [40, 0.8],
    [120, 0.7],
    [160, 0.6],
  ])('mostly has it again when others come and go between, half of %i in a /24', (count, least) => {
    const random = seeded();
    const pools = new LoadedPools([]);
    const range = '10.0.0.0/24';
    const last = new Map<string, string>();
    let [again, moved] = [0, 0];
    const up = new Set<string>();
    for (let round = 0; round < 4000; round++) {
      const name = `db-${random.below(count)}`;
      const pod = `lab/${name} net1 ${name}`;
      if (up.delete(pod)) {
        release(pod, pools);
        continue;
      }
      const address = give(pod, range, pools);
      const former = last.get(pod);
      again += former === address ? 1 : 0;
      moved += former !== undefined && former !== address ? 1 : 0;
      last.set(pod, address);
      up.add(pod);
    }
    expect(again / (again + moved), `seed ${random.seed}`).toBeGreaterThan(least);
  });
});
