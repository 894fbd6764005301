import { describe, expect, it } from 'vitest';
import { formatIp } from '../../lib/net/ip.ts';
import { openDatabase } from '../../lib/sys/database.ts';
import { seeded } from '../../lib/sys/testing/seeded.ts';
import { Connection } from './embedded/connection.ts';
import { SqlPools } from './embedded/sql-pools.ts';
import { LoadedPools } from './loaded-pools.ts';
import { planRelease, planReservation } from './plan.ts';
import { owner, rangesOf, requested } from './testing/fixtures.ts';

const RANGES = ['10.0.0.0/28', '10.0.0.0/27', '10.0.0.16/29', 'fd00::/124'];
const FEWEST_ROUNDS = 2500;
/** Some seeds need 3000 to have enough of each kind. */
const MOST_ROUNDS = 20_000;
const ENOUGH = 100;

const KINDS = {
  'pools that are loaded': async () => new LoadedPools([]),
  'the database': async () => {
    const store = await Connection.open(':memory:', openDatabase);
    store.makeTables();
    store.exec('BEGIN');
    return new SqlPools(store, 'blue');
  },
};

/** Some of them ask for addresses, are sticky, or come back in another container. */
describe.each(Object.entries(KINDS))('pods that ask for addresses of %s', (_, make) => {
  it('get those or nothing, and never what another one has', async () => {
    const random = seeded();
    const pools = await make();
    /** by pod: its container, and what it was given */
    const held = new Map<string, { readonly id: string; readonly ips: readonly string[] }>();
    const counts = { asked: 0, refused: 0, given: 0 };
    const hasEnough = (): boolean => Math.min(counts.asked, counts.refused, counts.given) > ENOUGH;
    for (let round = 0; round < FEWEST_ROUNDS || (round < MOST_ROUNDS && !hasEnough()); round++) {
      const what = `seed ${random.seed}, round ${round}`;
      const pod = `n/p${random.below(14)}`;
      const before = held.get(pod);
      if (before !== undefined && random.below(2) === 0) {
        pools.apply(planRelease({ id: before.id, ifname: 'net1' }, pools).changes);
        held.delete(pod);
        continue;
      }
      const id = before?.id ?? `${pod} ${round}`.replace(' ', '-');
      const ranges = rangesOf(...Array.from({ length: 1 + random.below(2) }, () => random.pick(RANGES)));
      const asked =
        before === undefined && random.below(2) === 0 ? [random.pick(['10.0.0.', 'fd00::']) + random.below(10)] : [];
      counts.asked += asked.length;
      const request = {
        owner: owner(`${pod} net1 ${id}`),
        ranges,
        protectOverlaps: true,
        requested: requested(...asked),
        isSticky: random.below(2) === 0,
        isPodForgotten: random.below(2) === 0,
      };
      try {
        const { changes, answer } = planReservation(request, pools);
        pools.apply(changes);
        const ips = answer.map(formatIp);
        const others = [...held].flatMap(([name, own]) => (name === pod ? [] : own.ips));
        expect(new Set(ips).size, what).toBe(ranges.length);
        expect(
          ips.filter((ip) => others.includes(ip)),
          what,
        ).toEqual([]);
        expect(
          asked.filter((ip) => !ips.includes(ip)),
          what,
        ).toEqual([]);
        held.set(pod, { id, ips: [...new Set([...(before?.ips ?? []), ...ips])] });
        counts.given += asked.length;
        const repeated = planReservation(request, pools);
        expect([repeated.changes, repeated.answer.map(formatIp).sort()], what).toEqual([[], ips.sort()]);
      } catch (error) {
        if (!(error instanceof Error) || !/^(cannot give|Could not allocate)/.test(error.message)) {
          throw error;
        }
        counts.refused++;
      }
    }
    const stored = [...pools.all()].map(({ ip, entry }) => `${formatIp(ip)} ${entry.podref}`).sort();
    const told = [...held].flatMap(([pod, { ips }]) => ips.map((ip) => `${ip} ${pod}`)).sort();
    expect(stored, `seed ${random.seed}`).toEqual(told);
    expect(hasEnough(), `seed ${random.seed}: ${JSON.stringify(counts)}`).toBe(true);
  });
});
