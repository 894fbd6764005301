import { describe, expect, it } from 'vitest';
import { type Cidr, contains, formatCidr, masked, networkOf, parseCidr } from '../../lib/net/cidr.ts';
import { bitsOf, formatIp, type Ip } from '../../lib/net/ip.ts';
import { openDatabase } from '../../lib/sys/database.ts';
import { type Seeded, seeded } from '../../lib/sys/testing/seeded.ts';
import { Connection } from './embedded/connection.ts';
import { SqlPools } from './embedded/sql-pools.ts';
import { LoadedPools } from './loaded-pools.ts';
import { planRelease, planReservation } from './plan.ts';
import type { Pools } from './pool.ts';
import { owner, rangesOf } from './testing/fixtures.ts';

const RANGES = ['10.0.0.0/28', '10.0.0.0/27', '10.0.0.16/29', '10.0.1.0/28', 'fd00::/124', 'fd00::8/125', 'fd00::/64'];

/** Who holds what, as one flat list: the slow and obvious way. */
interface Holding {
  readonly who: string;
  readonly range: string;
  readonly value: bigint;
}

function expected(random: Wanted, holdings: readonly Holding[]): bigint | undefined {
  const { who, cidr, low, high, excluded, protect } = random;
  const own = holdings.find((held) => held.who === who && held.range === formatCidr(cidr));
  if (own !== undefined) {
    return own.value;
  }
  const family = cidr.ip.family;
  const first = networkOf(cidr).value;
  const size = 1n << BigInt(Math.min(bitsOf(family) - cidr.prefix, 8));
  const last = cidr.prefix === 64 ? first + 200n : first + size - 2n;
  for (let value = first + 1n; value <= last; value++) {
    const ip: Ip = { family, value };
    const isTaken = holdings.some(
      (held) =>
        held.value === value &&
        held.range.includes(':') === (family === 6) &&
        (protect || held.range === formatCidr(cidr)),
    );
    if (value >= low && value <= high && !excluded.some((part) => contains(part, ip)) && !isTaken) {
      return value;
    }
  }
  return undefined;
}

interface Wanted {
  readonly who: string;
  readonly cidr: Cidr;
  readonly low: bigint;
  readonly high: bigint;
  readonly excluded: readonly Cidr[];
  readonly protect: boolean;
}

function wanted(random: Seeded): Wanted {
  const cidr = parseCidr(random.pick(RANGES)) as Cidr;
  const first = networkOf(cidr).value;
  const hosts = Math.min(2 ** Math.min(bitsOf(cidr.ip.family) - cidr.prefix, 8), 100) - 2;
  const [a, b] = [random.below(hosts), random.below(hosts)].map((offset) => first + 1n + BigInt(offset)) as [
    bigint,
    bigint,
  ];
  const [low, high] = a < b ? [a, b] : [b, a];
  const part = (): Cidr => ({
    ip: { family: cidr.ip.family, value: first + BigInt(random.below(hosts)) },
    prefix: bitsOf(cidr.ip.family) - random.below(4),
  });
  return {
    who: `n/p${random.below(9)} net${random.below(2)} id`,
    cidr,
    low,
    high,
    excluded: Array.from({ length: random.below(3) }, () => masked(part())),
    protect: random.below(4) > 0,
  };
}

const KINDS = {
  'pools that are loaded': async () => new LoadedPools([]),
  'the database': async () => {
    const store = await Connection.open(':memory:', openDatabase);
    store.makeTables();
    store.exec('BEGIN');
    return new SqlPools(store, 'blue');
  },
};

describe.each(Object.entries(KINDS))('reserving and releasing in %s', (_, make) => {
  it('does what a plain model does, 10,000 times', async () => {
    const random = seeded();
    const pools = await make();
    let holdings: readonly Holding[] = [];
    for (let round = 0; round < 10_000; round++) {
      const what = `seed ${random.seed}, round ${round}`;
      const want = wanted(random);
      if (random.below(5) === 0) {
        const { ifname, podref } = owner(want.who);
        const { changes, answer } = planRelease({ id: podref, ifname }, pools);
        pools.apply(changes);
        expect(answer.length, what).toBe(holdings.filter(({ who }) => who === want.who).length);
        holdings = holdings.filter(({ who }) => who !== want.who);
        continue;
      }
      const value = expected(want, holdings);
      // An owner whose address another range gave away while the protection was off is moved: tested by itself.
      const isContested = holdings.some((held) => held.value === value && held.who !== want.who);
      if (value === undefined || isContested) {
        expect(isContested || reserve(want, pools) === undefined, what).toBe(true);
        continue;
      }
      const { changes, ip } = reserve(want, pools) ?? {};
      expect(ip && formatIp(ip), what).toBe(formatIp({ family: want.cidr.ip.family, value }));
      pools.apply(changes ?? []);
      if ((changes ?? []).length > 0) {
        holdings = [...holdings, { who: want.who, range: formatCidr(want.cidr), value }];
      }
      if (round % 500 === 0) {
        pools.verify(true);
      }
    }
    pools.verify(true);
    expect(pools.all()).toHaveLength(holdings.length);
  });
});

function reserve({ who, cidr, low, high, excluded, protect }: Wanted, pools: Pools) {
  const family = cidr.ip.family;
  const ranges = rangesOf({
    range: formatCidr(cidr),
    range_start: formatIp({ family, value: low }),
    range_end: formatIp({ family, value: high }),
    exclude: excluded.map(formatCidr),
  });
  const { podref } = owner(who);
  try {
    const asked = { owner: { ...owner(who), id: podref }, ranges, protectOverlaps: protect };
    const { answer, changes } = planReservation(asked, pools);
    return { changes, ip: answer[0] };
  } catch (error) {
    expect(String(error)).toContain('Could not allocate IP in range: ip: ');
    return undefined;
  }
}
