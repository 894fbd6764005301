import { describe, expect, it } from 'vitest';
import { ApiError } from '../../../lib/kube/api.ts';
import { FakeKube, type Mishap, type Request } from '../testing/fake-kube.ts';
import { MemoryJournal } from '../testing/memory-journal.ts';
import { CALLER, releasing, reserving } from '../testing/steps.ts';
import { transact } from '../transact.ts';
import { KubernetesEngine } from './engine.ts';
import { type Journal, NO_JOURNAL } from './journal.ts';
import { type IpPool, type IpReservation, poolObject, reservationObject } from './objects.ts';
import { NOTHING_RECENT } from './recent.ts';

const RANGE = '10.0.0.0/24';
const OTHER = '10.0.0.0/28';

/** A server and a node of it. */
function cluster({ journal = new MemoryJournal() as Journal, isStrict = false } = {}) {
  const kube = new FakeKube();
  const node = (own: Journal = journal) =>
    new KubernetesEngine({
      open: async () => kube,
      journal: own,
      recents: NOTHING_RECENT,
      isStrict,
    });
  const engine = node();
  const pool = (name = '10.0.0.0-24') =>
    kube.all<IpPool>('ippools').find(({ metadata }) => metadata.name === name)?.spec.allocations;
  const reservations = () =>
    kube.all<IpReservation>('overlappingrangeipreservations').map(({ metadata: { name }, spec }) => [name, spec]);
  const add = async (
    who: string,
    ranges: readonly string[] = [RANGE],
    options: Parameters<typeof reserving>[2] = {},
  ) => {
    const one = reserving(who, [...ranges], options);
    const [outcome] = await transact(engine, [one.step]);
    return outcome?.status === 'rejected' ? Promise.reject(outcome.reason) : [...one.given];
  };
  const del = (who: string, ranges: Parameters<typeof releasing>[1] = 'held') =>
    transact(engine, [releasing(who, ranges)]);
  return { kube, engine, node, pool, reservations, add, del, journal: journal as MemoryJournal };
}

const entry = (who: string) => {
  const [podref = '', ifname = '', id = ''] = who.split(' ');
  return { id, podref, ifname };
};
const poolWith = (allocations: Readonly<Record<string, string>>, range = RANGE, name = '10.0.0.0-24') =>
  poolObject('kube-system', name, {
    range,
    allocations: Object.fromEntries(Object.entries(allocations).map(([key, who]) => [key, entry(who)])),
  });
const reservationWith = (name: string, podref: string, ifname = 'net1') =>
  reservationObject('kube-system', name, '', { podref, ifname });

/** Only the nth request of its kind goes wrong. */
const nth = (which: number, verb: Request['verb'], mishap: Mishap, plural = '') => {
  let seen = 0;
  return (request: Request): Mishap =>
    request.verb === verb && request.plural.startsWith(plural) && ++seen === which ? mishap : 'none';
};

describe('requests', () => {
  it.each([
    [true, 'GET 1, PATCH 1, POST 16', 'DELETE 16, PATCH 1'],
    [false, 'GET 1, PATCH 1', 'PATCH 1'],
  ])('of a pod with 16 networks in one range are few, overlap %s', async (protectOverlaps, adding, deleting) => {
    const { kube, engine, add, pool, reservations } = cluster();
    await add('x/y net1 idX');
    kube.counted();
    const all = Array.from({ length: 16 }, (_, index) => reserving(`a/b net${index} id`, [RANGE], { protectOverlaps }));
    await transact(
      engine,
      all.map(({ step }) => step),
    );
    expect(kube.counted()).toBe(adding);
    expect(all.flatMap(({ given }) => given)).toEqual(Array.from({ length: 16 }, (_, index) => `10.0.0.${index + 2}`));
    await transact(
      engine,
      all.map((_, index) => releasing(`a/b net${index} id`)),
    );
    expect(kube.counted()).toBe(deleting);
    expect([Object.keys(pool() ?? {}), reservations().map(([name]) => name)]).toEqual([['1'], ['10.0.0.1']]);
  });

  it.each([
    ['a new pool', 'GET 1, POST 2', async () => undefined],
    ['a repeat', 'GET 2', async ({ add }: ReturnType<typeof cluster>) => add('a/b net1 id')],
    [
      'the pod in a new container',
      'GET 2, PATCH 1',
      async ({ add }: ReturnType<typeof cluster>) => add('a/b net1 old'),
    ],
  ])('for %s are %s', async (_, expected, prepare) => {
    const one = cluster();
    await prepare(one);
    one.kube.counted();
    expect(await one.add('a/b net1 id')).toEqual(['10.0.0.1']);
    expect(one.kube.counted()).toBe(expected);
    expect(one.pool()).toEqual({ '1': entry('a/b net1 id') });
  });

  it('without a journal look first, and create nothing', async () => {
    const { kube, add, del, reservations } = cluster({ journal: NO_JOURNAL });
    await add('a/b net1 id');
    kube.counted();
    await del('a/b net1 id', [RANGE]);
    expect(kube.counted()).toBe('DELETE 1, GET 2, PATCH 1');
    await del('a/b net1 id', [RANGE, '10.9.0.0/24']);
    expect([kube.counted(), reservations(), kube.all('ippools').length]).toEqual(['GET 2', [], 1]);
  });

  it('find all that a container holds in the network when nobody knows its ranges', async () => {
    const { kube, add, del, pool } = cluster({ journal: NO_JOURNAL });
    await add('a/b net1 id', [RANGE, 'fd00::/64']);
    await add('x/y net1 idX', [RANGE], { networkName: 'blue' });
    kube.counted();
    await del('a/b net1 id');
    expect(kube.counted()).toBe('DELETE 2, GET 2, LIST 1, PATCH 2');
    expect([pool(), pool('fd00---64'), pool('blue-10.0.0.0-24')]).toEqual([{}, {}, { '1': entry('x/y net1 idX') }]);
  });
});

describe('ADD', () => {
  it.each([
    ['whereabouts', 0, false],
    ['whereabouts', 60_000, true],
    ['braid', 0, true],
  ])('beside %s that wrote %i ms ago takes the lowest address: %s', async (manager, agoMs, isLowest) => {
    const lowest = new Set<boolean>();
    for (let tries = 0; tries < 8; tries++) {
      const { kube, add } = cluster();
      const pool = poolWith({ '1': 'lab/other net1 idO' });
      const time = new Date(Date.now() - agoMs).toISOString();
      kube.put('ippools', { ...pool, metadata: { ...pool.metadata, managedFields: [{ manager, time }] } });
      const given = await add('lab/p net1 id');
      lowest.add(given[0] === '10.0.0.2');
    }
    expect(lowest.has(false)).toBe(!isLowest);
  });

  it('does not touch what another network has', async () => {
    const { add, reservations } = cluster();
    await add('a/b net1 id');
    expect(await add('a/c net1 id2', [RANGE], { networkName: 'blue' })).toEqual(['10.0.0.1']);
    expect(reservations().map(([name]) => name)).toEqual(['10.0.0.1', 'blue-10.0.0.1']);
  });

  it('never gives an address whose key is written in another way, or cannot be read by others', async () => {
    const { kube, add, pool } = cluster();
    kube.put('ippools', poolWith({ '01': 'x/1 net1 i1', '+2': 'x/2 net1 i2', x: 'x/3 net1 i3', '-4': 'x/4 net1 i4' }));
    expect(await add('a/b net1 id')).toEqual(['10.0.0.3']);
    expect(Object.keys(pool() ?? {}).sort()).toEqual(['+2', '-4', '01', '3', 'x']);
  });

  it('gives a pod its own address back whose key is written in another way, under that key', async () => {
    const { kube, add, del, pool } = cluster();
    kube.put('ippools', poolWith({ '05': 'a/b net1 old' }));
    expect(await add('a/b net1 id')).toEqual(['10.0.0.5']);
    expect(pool()).toEqual({ '05': entry('a/b net1 id') });
    await del('a/b net1 id');
    expect(pool()).toEqual({});
  });

  it('refuses addresses that the Go plugin would lose, before anything is written', async () => {
    const { kube, add } = cluster();
    const far = reserving('a/b net1 id', [{ range: 'fd00::/16', range_start: 'fd00:1::' }]);
    const outcome = await transact(
      new KubernetesEngine({
        open: async () => kube,
        journal: NO_JOURNAL,
        recents: NOTHING_RECENT,
        isStrict: false,
      }),
      [far.step],
    );
    expect(outcome).toMatchObject([{ status: 'rejected', reason: { code: 7 } }]);
    expect(kube.counted()).toBe('GET 1');
    expect(await add('a/b net1 id', ['fd00::/16'])).toEqual(['fd00::1']);
  });

  it('refuses the pool of another range', async () => {
    const { kube, add } = cluster();
    kube.put('ippools', poolWith({}, '10.0.0.0/25'));
    await expect(add('a/b net1 id')).rejects.toThrow('its range is "10.0.0.0/25", not "10.0.0.0/24"');
  });

  it('takes the next address when another range has the first ones, which it asks for once', async () => {
    const { kube, add, reservations } = cluster();
    await add('x/1 net1 i1', [OTHER]);
    kube.counted();
    expect(await add('a/b net1 id', [RANGE])).toEqual(['10.0.0.2']);
    expect(
      kube.requests.filter(({ plural }) => plural.startsWith('over')).map(({ verb, name }) => `${verb} ${name}`),
    ).toEqual(['POST 10.0.0.1', 'GET 10.0.0.1', 'POST 10.0.0.2']);
    expect(reservations()).toHaveLength(2);
  });

  it('reads all reservations when many addresses are in other ranges', async () => {
    const { kube, add } = cluster();
    for (let key = 1; key < 100; key++) {
      kube.put('overlappingrangeipreservations', reservationWith(`10.0.0.${key}`, `x/p${key}`));
    }
    expect(await add('a/b net1 id')).toEqual(['10.0.0.100']);
    expect(kube.requests.filter(({ verb }) => verb === 'LIST')).toHaveLength(1);
    expect(kube.requests.length).toBeLessThan(70);
  });

  it('spreads where many want the lowest addresses at once, and takes what is left in the end', async () => {
    const { kube, node, pool } = cluster();
    kube.use({ delay: () => 2 });
    const range = '10.0.2.0/26'; // 62 addresses
    const all = Array.from({ length: 8 }, (_, pod) =>
      Array.from({ length: pod < 6 ? 8 : 7 }, (__, index) => reserving(`a/p${pod} net${index} id${pod}`, [range])),
    );
    const outcomes = await Promise.all(
      all.map((own) =>
        transact(
          node(),
          own.map(({ step }) => step),
        ),
      ),
    );
    expect(outcomes.flat().filter(({ status }) => status === 'rejected')).toEqual([]);
    const given = all.flatMap((own) => own.flatMap((one) => one.given));
    expect([new Set(given).size, Object.keys(pool('10.0.2.0-26') ?? {}).length]).toEqual([62, 62]);
    expect(kube.requests.length).toBeLessThan(1000);
  });

  it('loses few reservations where nodes want many addresses each at the same time', async () => {
    const { kube, node, pool } = cluster();
    kube.use({ delay: () => 2 });
    const [nodes, pods, networks] = [8, 4, 16];
    const all = Array.from({ length: nodes * pods * networks }, (_, at) => {
      const podOf = Math.floor(at / networks);
      return reserving(`a/p${podOf} net${at % networks} id${podOf}`, ['10.7.0.0/16']);
    });
    const size = pods * networks;
    const outcomes = await Promise.all(
      Array.from({ length: nodes }, (_, index) =>
        transact(
          node(new MemoryJournal()),
          all.slice(index * size, (index + 1) * size).map(({ step }) => step),
        ),
      ),
    );
    expect(outcomes.flat().filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(new Set(all.flatMap(({ given }) => given)).size).toBe(all.length);
    expect(Object.keys(pool('10.7.0.0-16') ?? {})).toHaveLength(all.length);
    expect(kube.requests.length / all.length).toBeLessThan(1.2); // each address needs one
  });

  it('gives two interfaces of a pod two addresses, in whatever ranges', async () => {
    const { add } = cluster();
    expect([await add('a/b net1 id', [OTHER]), await add('a/b net2 id', [RANGE])]).toEqual([
      ['10.0.0.1'],
      ['10.0.0.2'],
    ]);
  });

  it('makes the reservation that is missing of what a pod holds', async () => {
    const { kube, add, reservations } = cluster();
    kube.put('ippools', poolWith({ '7': 'a/b net1 id' }));
    expect(await add('a/b net1 id')).toEqual(['10.0.0.7']);
    expect(reservations()).toEqual([['10.0.0.7', { podref: 'a/b', ifname: 'net1', containerid: 'id' }]]);
  });

  it('moves a pod whose address another range has given away', async () => {
    const { kube, add, pool, reservations } = cluster();
    kube.put('ippools', poolWith({ '7': 'a/b net1 old' }));
    kube.put('overlappingrangeipreservations', reservationWith('10.0.0.7', 'x/y'));
    expect(await add('a/b net1 id')).toEqual(['10.0.0.1']);
    expect(pool()).toEqual({ '1': entry('a/b net1 id') });
    expect(reservations()).toEqual([
      ['10.0.0.7', { podref: 'x/y', ifname: 'net1' }],
      ['10.0.0.1', { podref: 'a/b', ifname: 'net1', containerid: 'id' }],
    ]);
  });

  it('takes a reservation that an earlier call of the pod has left, and marks it', async () => {
    const { kube, add, reservations } = cluster();
    kube.put('overlappingrangeipreservations', reservationWith('10.0.0.1', 'a/b'));
    expect(await add('a/b net1 id')).toEqual(['10.0.0.1']);
    expect(reservations()).toHaveLength(1);
    expect(kube.all('overlappingrangeipreservations')[0]?.metadata.annotations).toEqual({ 'braid/container': 'id' });
  });

  it('makes it anew when who had left it deletes it without looking', async () => {
    const { kube, add, reservations } = cluster();
    kube.put('ippools', poolWith({}));
    kube.put('overlappingrangeipreservations', reservationWith('10.0.0.1', 'a/b'));
    kube.use({
      mishap: ({ verb, plural }) => {
        if (verb === 'PATCH' && plural === 'ippools') {
          kube.drop('overlappingrangeipreservations', '10.0.0.1');
        }
        return 'none';
      },
    });
    expect(await add('a/b net1 id')).toEqual(['10.0.0.1']);
    expect(reservations()).toEqual([['10.0.0.1', { podref: 'a/b', ifname: 'net1', containerid: 'id' }]]);
  });

  it('gives back its reservation when somebody has taken the address in the pool', async () => {
    const { kube, add, pool, reservations } = cluster();
    kube.put('ippools', poolWith({}));
    kube.use({
      mishap: ({ verb, plural }) => {
        if (verb === 'PATCH' && plural === 'ippools' && pool()?.['1'] === undefined) {
          kube.put('ippools', poolWith({ '1': 'x/y net1 idX' }));
        }
        return 'none';
      },
    });
    expect(await add('a/b net1 id')).toEqual(['10.0.0.2']);
    expect(reservations().map(([name]) => name)).toEqual(['10.0.0.2']);
  });

  it('keeps the address of each interface when one of sixteen meets a foreign reservation', async () => {
    const { kube, engine, reservations } = cluster();
    kube.put('overlappingrangeipreservations', reservationWith('10.0.0.3', 'x/y'));
    const all = Array.from({ length: 4 }, (_, index) => reserving(`a/b net${index} id`, [RANGE]));
    await transact(
      engine,
      all.map(({ step }) => step),
    );
    expect(all.flatMap(({ given }) => given)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.5', '10.0.0.4']);
    expect(reservations()).toHaveLength(5);
  });

  it('leaves nothing of a pod that one of its ranges has no address for', async () => {
    const { kube, add, pool, reservations, journal } = cluster();
    const tiny = '10.1.0.0/30';
    await add('x/1 net1 i1', [tiny]);
    kube.put('ippools', poolWith({}));
    // The last address of the tiny range goes to somebody else while the pod's first pool is changed.
    kube.use({
      mishap: ({ verb, name }) => {
        if (verb === 'PATCH' && name === '10.1.0.0-30') {
          kube.put('ippools', poolWith({ '1': 'x/1 net1 i1', '2': 'x/2 net1 i2' }, tiny, '10.1.0.0-30'));
        }
        return 'none';
      },
    });
    await expect(add('a/b net1 id', [RANGE, tiny])).rejects.toThrow('Could not allocate IP in range');
    expect([pool(), reservations().map(([name]) => name), journal.rows.map(({ id }) => id)]).toEqual([
      {},
      ['10.1.0.1'],
      ['i1'],
    ]);
  });
});

describe('what the server answers', () => {
  it.each([
    ['lost answer', 'POST'],
    ['lost request', 'POST'],
    ['late', 'POST'],
    [429, 'POST'],
    [500, 'POST'],
    [504, 'POST'],
    ['refused', 'POST'],
    ['lost answer', 'PATCH'],
    ['lost request', 'PATCH'],
    ['late', 'PATCH'],
    [409, 'PATCH'],
    [429, 'PATCH'],
    [504, 'PATCH'],
    ['refused', 'PATCH'],
    ['lost request', 'GET'],
    [500, 'GET'],
    [429, 'GET'],
  ] as const)('%s to %s does not double or lose an address', async (mishap, verb) => {
    const { kube, add, del, pool, reservations, journal } = cluster();
    await add('x/y net1 idX');
    kube.use({ mishap: nth(1, verb, mishap) });
    expect(await add('a/b net1 id')).toEqual(['10.0.0.2']);
    await new Promise((resolve) => setTimeout(resolve, 5)); // what was late has come by now
    expect(pool()).toEqual({ '1': entry('x/y net1 idX'), '2': entry('a/b net1 id') });
    expect(reservations()).toHaveLength(2);
    kube.use({ mishap: nth(1, verb === 'POST' ? 'DELETE' : verb, mishap) });
    await del('a/b net1 id');
    expect([pool(), reservations().map(([name]) => name)]).toEqual([{ '1': entry('x/y net1 idX') }, ['10.0.0.1']]);
    expect(journal.rows.map(({ id }) => id)).toEqual(['idX']);
  });

  it.each(['lost answer', 'lost request', 'late', 504] as const)('%s to the first use of a pool', async (mishap) => {
    const { kube, add, pool } = cluster();
    kube.use({ mishap: nth(1, 'POST', mishap, 'ippools') });
    expect(await add('a/b net1 id')).toEqual(['10.0.0.1']);
    expect(pool()).toEqual({ '1': entry('a/b net1 id') });
  });

  it('that somebody else has used the pool first', async () => {
    const { kube, add, pool } = cluster();
    let isFirst = true;
    kube.use({
      mishap: ({ verb, plural }) => {
        if (verb === 'POST' && plural === 'ippools' && isFirst) {
          isFirst = false;
          kube.put('ippools', poolWith({ '1': 'x/y net1 idX' }));
        }
        return 'none';
      },
    });
    expect(await add('a/b net1 id')).toEqual(['10.0.0.2']);
    expect(Object.keys(pool() ?? {})).toEqual(['1', '2']);
  });

  it("that it is a fault of what was sent ends it with the server's words, and nothing is left", async () => {
    const { kube, reservations, journal } = cluster();
    kube.put('ippools', poolWith({ '1': 'x/y net1 idX' }));
    const refusing = Object.assign(Object.create(kube), {
      patch: async () => Promise.reject(refusal()),
    });
    const engine = new KubernetesEngine({
      open: async () => refusing,
      journal,
      recents: NOTHING_RECENT,
      isStrict: false,
    });
    await expect(transact(engine, [reserving('a/b net1 id', [RANGE]).step])).rejects.toMatchObject({
      code: 999,
      message: 'spec.allocations: Invalid value',
    });
    expect([reservations(), journal.rows]).toEqual([[], []]);
  });

  it('that nobody is there ends ADD with code 11, and nothing is left', async () => {
    const { kube, add, journal } = cluster();
    kube.use({ mishap: () => 'refused' });
    let now = 0;
    const sleep = async (ms: number): Promise<void> => {
      now += ms;
    };
    const caller = { ...CALLER, now: () => now, sleep };
    await expect(add('a/b net1 id', [RANGE], { caller })).rejects.toMatchObject({
      code: 11,
      message: 'k8s get error: connect ECONNREFUSED',
    });
    expect(now).toBeLessThan(60_000);
    expect([kube.all('ippools'), journal.rows]).toEqual([[], []]);
  });
});

describe('DEL', () => {
  it('frees the entries of old versions, which have no interface', async () => {
    const { kube, del, pool } = cluster({ journal: NO_JOURNAL });
    const { metadata, spec } = poolWith({ '3': 'x/y net1 idX' });
    kube.put('ippools', {
      metadata,
      spec: { ...spec, allocations: { ...spec.allocations, '2': { id: 'id' } } },
    } as IpPool);
    await del('a/b net1 id', [RANGE]);
    expect(Object.keys(pool() ?? {})).toEqual(['3']);
  });

  it('leaves what the pod has in a new container by now', async () => {
    const one = cluster();
    await one.add('a/b net1 old');
    const elsewhere = one.node(new MemoryJournal());
    await transact(elsewhere, [reserving('a/b net1 new', [RANGE]).step]);
    await one.del('a/b net1 old');
    expect(one.pool()).toEqual({ '1': entry('a/b net1 new') });
    expect([one.reservations().length, one.journal.rows]).toEqual([1, []]);
  });

  it("leaves the reservation that the pod's new container has claimed between its two steps", async () => {
    const one = cluster();
    await one.add('a/b net1 old');
    const elsewhere = one.node(new MemoryJournal());
    const late = reserving('a/b net1 new', [RANGE]);
    let isFirst = true;
    const slow = Object.assign(Object.create(one.kube), {
      delete: async (...path: Parameters<FakeKube['delete']>) => {
        if (isFirst) {
          isFirst = false;
          await transact(elsewhere, [late.step]);
        }
        return one.kube.delete(...path);
      },
    });
    await transact(
      new KubernetesEngine({
        open: async () => slow,
        journal: one.journal,
        recents: NOTHING_RECENT,
        isStrict: false,
      }),
      [releasing('a/b net1 old')],
    );
    expect([late.given, one.pool(), one.reservations().length]).toEqual([
      ['10.0.0.1'],
      { '1': entry('a/b net1 new') },
      1,
    ]);
  });

  it('deletes the reservation of an address that somebody else has freed', async () => {
    const { kube, add, del, reservations } = cluster();
    await add('a/b net1 id');
    kube.put('ippools', poolWith({}));
    await del('a/b net1 id');
    expect(reservations()).toEqual([]);
  });

  it('creates no pool', async () => {
    const { kube, add, del, journal } = cluster();
    await add('a/b net1 id');
    kube.drop('ippools', '10.0.0.0-24');
    await del('a/b net1 id');
    await del('a/c net1 idC', [RANGE]);
    expect([kube.all('ippools'), kube.all('overlappingrangeipreservations'), journal.rows]).toEqual([[], [], []]);
  });

  it('makes ADD give up that is still under way', async () => {
    const { kube, add, pool, reservations, journal } = cluster();
    kube.use({
      mishap: ({ verb, plural }) => {
        if (verb === 'POST' && plural === 'ippools') {
          void journal.bury([{ ...entry('a/b net1 id'), networkName: '', ranges: [] }]);
        }
        return 'none';
      },
    });
    await expect(add('a/b net1 id')).rejects.toMatchObject({
      code: 3,
      message: 'cannot reserve for container id: it was deleted meanwhile',
    });
    expect([pool(), reservations(), journal.rows]).toEqual([{}, [], []]);
  });
});

describe('strict', () => {
  it('is refused by any change of the pool, and tried again', async () => {
    const { kube, add, pool } = cluster({ isStrict: true });
    kube.put('ippools', poolWith({}));
    let isFirst = true;
    kube.use({
      mishap: ({ verb, plural }) => {
        if (verb === 'PATCH' && plural === 'ippools' && isFirst) {
          isFirst = false;
          kube.put('ippools', poolWith({ '9': 'x/y net1 idX' }));
        }
        return 'none';
      },
    });
    expect(await add('a/b net1 id')).toEqual(['10.0.0.1']);
    expect(Object.keys(pool() ?? {})).toEqual(['1', '9']);
    expect(kube.requests.filter(({ verb, plural }) => verb === 'PATCH' && plural === 'ippools')).toHaveLength(2);
  });
});

const refusal = (): ApiError => new ApiError('spec.allocations: Invalid value', { status: 422, reason: 'Invalid' });
