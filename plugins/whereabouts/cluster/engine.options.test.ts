import { describe, expect, it } from 'vitest';
import { seeded } from '../../../lib/sys/testing/seeded.ts';
import { FakeKube } from '../testing/fake-kube.ts';
import { requested } from '../testing/fixtures.ts';
import { MemoryJournal } from '../testing/memory-journal.ts';
import { releasing, reserving } from '../testing/steps.ts';
import { transact } from '../transact.ts';
import { KubernetesEngine } from './engine.ts';
import { type IpPool, type IpReservation, reservationObject } from './objects.ts';
import { NOTHING_RECENT } from './recent.ts';

const RANGE = '10.0.0.0/24';
const WIDE = '10.0.0.0/16';

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
  const add = async (who: string, more: Parameters<typeof reserving>[2], ranges = [RANGE], on = engine) => {
    const one = reserving(who, ranges, more);
    const [outcome] = await transact(on, [one.step]);
    return outcome?.status === 'rejected' ? Promise.reject(outcome.reason) : [...one.given];
  };
  const ask = (who: string, ip: string, ranges = [RANGE], on = engine) =>
    add(who, { more: { requested: requested(ip) } }, ranges, on);
  const del = (who: string) => transact(engine, [releasing(who)]);
  const held = () =>
    kube
      .all<IpPool>('ippools')
      .flatMap(({ spec }) => Object.entries(spec.allocations ?? {}).map(([key, { podref }]) => `${key} ${podref}`));
  const protectedOnes = () =>
    kube.all<IpReservation>('overlappingrangeipreservations').map(({ metadata }) => metadata.name);
  return { kube, node, add, ask, del, held, protectedOnes };
}

describe('an address of a cluster that is asked for', () => {
  it('is reserved as any other, given again, and released', async () => {
    const { kube, ask, del, held, protectedOnes } = cluster();
    expect(await ask('a/b net1 id', '10.0.0.77')).toEqual(['10.0.0.77']);
    expect([held(), protectedOnes()]).toEqual([['77 a/b'], ['10.0.0.77']]);
    expect(kube.counted()).toBe('GET 1, POST 2');
    expect(await ask('a/b net1 id', '10.0.0.77')).toEqual(['10.0.0.77']);
    expect(await ask('a/b net1 new', '10.0.0.77')).toEqual(['10.0.0.77']);
    await del('a/b net1 new');
    expect([held(), protectedOnes()]).toEqual([[], []]);
  });

  it.each([
    [RANGE, 'x/y net1 has it'],
    [WIDE, 'x/y net1 has it'],
  ])('is refused when somebody has it in %s, and nothing is left', async (range, why) => {
    const { ask, held, protectedOnes } = cluster();
    await ask('x/y net1 idX', '10.0.0.77', [range]);
    await expect(ask('a/b net1 id', '10.0.0.77')).rejects.toThrow(
      `cannot give 10.0.0.77, which IP of CNI_ARGS asks for: ${why}`,
    );
    expect([held(), protectedOnes()]).toEqual([['77 x/y'], ['10.0.0.77']]);
  });

  it('is looked for again while the one who has just reserved it may give it back', async () => {
    const { kube, ask } = cluster();
    const fresh = reservationObject('kube-system', '10.0.0.77', '', { podref: 'x/y', ifname: 'net1' });
    kube.put('overlappingrangeipreservations', {
      ...fresh,
      metadata: { ...fresh.metadata, creationTimestamp: new Date().toISOString() },
    } as IpReservation);
    let looks = 0;
    kube.use({
      mishap: ({ verb }) => {
        if (verb === 'LIST' && ++looks === 3) {
          kube.drop('overlappingrangeipreservations', '10.0.0.77');
        }
        return 'none';
      },
    });
    expect(await ask('a/b net1 id', '10.0.0.77')).toEqual(['10.0.0.77']);
  });

  it('is given to one of eight nodes that want it at the same time', async () => {
    const random = seeded();
    const { kube, node, ask, held, protectedOnes } = cluster();
    kube.use({ delay: () => random.below(4) });
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, (_, at) =>
        ask(`a/p${at} net1 id${at}`, '10.0.0.77', at % 2 ? [RANGE] : [WIDE], node()),
      ),
    );
    const given = all.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    expect([given, held().length, protectedOnes()], `seed ${random.seed}`).toEqual([['10.0.0.77'], 1, ['10.0.0.77']]);
    const reasons = all.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
    expect(
      reasons.filter((text) => !text.includes('which IP of CNI_ARGS asks for')),
      `seed ${random.seed}`,
    ).toEqual([]);
  });

  it('is never doubled by nodes that come and go, with any of the options', async () => {
    const random = seeded();
    const { kube, node, held } = cluster();
    kube.use({ delay: () => random.below(3) });
    const nodes = Array.from({ length: 4 }, node);
    const up = new Map<string, string>();
    for (let round = 0; round < 150; round++) {
      const pods = [...new Set(Array.from({ length: 6 }, () => `lab/p${random.below(20)}`))];
      await Promise.all(
        pods.map(async (pod) => {
          const engine = nodes[random.below(4)] as KubernetesEngine;
          const who = `${pod} net1 ${pod.slice(4)}`;
          if (up.delete(pod)) {
            await transact(engine, [releasing(who, [RANGE, WIDE])]);
            return;
          }
          const asked = random.below(3) > 0 ? [`10.0.0.${1 + random.below(8)}`] : [];
          const more = { requested: requested(...asked), isSticky: random.below(2) === 0 };
          const one = reserving(who, [random.pick([RANGE, WIDE])], { more });
          const [outcome] = await transact(engine, [one.step]);
          if (outcome?.status === 'fulfilled') {
            expect(asked.length === 0 || one.given[0] === asked[0], `seed ${random.seed}`).toBe(true);
            up.set(pod, one.given[0] ?? '');
          } else {
            expect(String(outcome?.reason), `seed ${random.seed}`).toContain('which IP of CNI_ARGS asks for');
          }
        }),
      );
      expect(new Set(up.values()).size, `seed ${random.seed}, round ${round}`).toBe(up.size);
      expect(held().length, `seed ${random.seed}, round ${round}`).toBe(up.size);
    }
  });
});

describe('a sticky pod of a cluster', () => {
  it('has its address again on another node, after everything of it was released', async () => {
    const { node, add, del, held } = cluster();
    const sticky = { more: { isSticky: true } };
    const first = await add('lab/db-0 net1 id', sticky);
    await del('lab/db-0 net1 id');
    expect(held()).toEqual([]);
    await add('x/y net1 idX', {});
    expect(await add('lab/db-0 net1 id2', sticky, [RANGE], node())).toEqual(first);
    expect(first).toEqual(['10.0.0.248']);
  });

  it('stays within the keys that every plugin reads', async () => {
    const { add } = cluster();
    const range = { range: 'fd00::/48', range_start: 'fd00::7fff:ffff:ffff:fff0' };
    const one = reserving('lab/db-0 net1 id', [range], { more: { isSticky: true } });
    const [outcome] = await transact(cluster().node(), [one.step]);
    expect([outcome?.status, one.given]).toEqual(['fulfilled', ['fd00::7fff:ffff:ffff:fff0']]);
    expect(await add('lab/db-0 net1 id', { more: { isSticky: true } }, ['fd00::/64'])).not.toEqual(['fd00::1']);
  });
});
