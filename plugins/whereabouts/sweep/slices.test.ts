import { describe, expect, it } from 'vitest';
import { type Cidr, formatCidr, parseCidr } from '../../../lib/net/cidr.ts';
import { usableOf } from '../../../lib/net/range.ts';
import { seeded } from '../../../lib/sys/testing/seeded.ts';
import { poolObject } from '../cluster/objects.ts';
import type { StoredPool } from '../cluster/stored-pool.ts';
import { clusterNetwork } from './networks.ts';
import { sweptPool } from './pools.ts';
import { type Allocation, planSlices, type SliceWish, sliceSizeIn } from './slice-plan.ts';
import { liveSlices, wantedSlices } from './slice-pools.ts';

const cidr = (text: string): Cidr => parseCidr(text) as Cidr;

function plan(
  range: string,
  size: number,
  nodes: readonly string[],
  more: Partial<SliceWish> & { live?: string } = {},
) {
  const { live = '', ...rest } = more;
  const whole = cidr(range);
  const planned = planSlices({
    range: whole,
    size,
    window: usableOf(whole) as never,
    nodes,
    current: [],
    isLive: (node, slice) => live.split(' ').includes(`${node}=${formatCidr(slice)}`),
    ...rest,
  });
  return { ...planned, text: planned.allocations.map(textOf).join(' ') };
}

const textOf = ({ nodeName, sliceRange }: Allocation): string => `${nodeName}=${sliceRange}`;
const current = (text: string): readonly Allocation[] =>
  text.split(' ').map((one) => {
    const [nodeName = '', sliceRange = ''] = one.split('=');
    return { nodeName, sliceRange };
  });

describe('planSlices', () => {
  it('cuts a range, and gives nodes the first slices by their names', () => {
    expect(plan('10.0.0.0/24', 26, []).text).toBe('=10.0.0.0/26 =10.0.0.64/26 =10.0.0.128/26 =10.0.0.192/26');
    expect(plan('10.0.0.0/25', 26, ['b', 'a'])).toMatchObject({ text: 'a=10.0.0.0/26 b=10.0.0.64/26', without: [] });
    expect(plan('fd00::/64', 66, ['a']).text).toBe(
      'a=fd00::/66 =fd00::4000:0:0:0/66 =fd00::8000:0:0:0/66 =fd00::c000:0:0:0/66',
    );
  });

  it('leaves nodes their slices when others come and go, and frees those of nodes that are gone', () => {
    const before = current('a=10.0.0.0/26 c=10.0.0.64/26 d=10.0.0.128/26 =10.0.0.192/26');
    expect(plan('10.0.0.0/24', 26, ['b', 'c', 'e'], { current: before }).text).toBe(
      'b=10.0.0.0/26 c=10.0.0.64/26 e=10.0.0.128/26 =10.0.0.192/26',
    );
  });

  it('keeps the slice of a node that is gone while somebody holds an address of it', () => {
    const before = current('a=10.0.0.0/26 b=10.0.0.64/26');
    const kept = plan('10.0.0.0/25', 26, ['b', 'c'], { current: before, live: 'a=10.0.0.0/26' });
    expect([kept.text, kept.without, kept.leaving.map(textOf)]).toEqual([
      'b=10.0.0.64/26 a=10.0.0.0/26',
      ['c'],
      ['a=10.0.0.0/26'],
    ]);
    expect(plan('10.0.0.0/25', 26, ['b', 'c'], { current: current(kept.text) }).text).toBe(
      'c=10.0.0.0/26 b=10.0.0.64/26',
    );
  });

  it('gives nobody what is live when size or range change; the node reads its new slice first', () => {
    const before = current('a=10.0.0.0/26 b=10.0.0.64/26');
    const live = 'a=10.0.0.0/26';
    expect(plan('10.0.0.0/24', 27, ['a', 'b'], { current: before, live }).text.split(' ').slice(0, 2)).toEqual([
      'a=10.0.0.64/27',
      'b=10.0.0.96/27',
    ]);
    expect(plan('10.0.0.0/24', 27, ['a', 'b'], { current: before, live }).text).toMatch(/ a=10.0.0.0\/26$/);
    expect(plan('10.1.0.0/25', 26, ['a', 'b'], { current: before, live }).text).toBe(
      'a=10.1.0.0/26 b=10.1.0.64/26 a=10.0.0.0/26',
    );
  });

  it('leaves a slice that two nodes were given to the one that uses it', () => {
    const twice = current('a=10.0.0.0/26 b=10.0.0.0/26');
    expect(plan('10.0.0.0/25', 26, ['a', 'b'], { current: twice, live: 'b=10.0.0.0/26' }).text).toBe(
      'b=10.0.0.0/26 a=10.0.0.64/26',
    );
  });

  it('passes over slices that have nothing of what may be given, and does not list thousands that are free', () => {
    const window = { family: 4, first: 0x0a000050n, last: 0x0a000090n } as const;
    expect(plan('10.0.0.0/24', 26, ['a', 'b', 'c'], { window })).toMatchObject({
      text: 'a=10.0.0.64/26 b=10.0.0.128/26',
      without: ['c'],
    });
    expect(plan('10.0.0.0/8', 27, ['a', 'b']).text).toBe('a=10.0.0.0/27 b=10.0.0.32/27');
    expect(plan('fd00::/64', 112, ['a']).text).toBe('a=fd00::/112');
  });

  it('never gives two nodes overlapping slices, nor anybody what is live, in 300 changes at random', () => {
    const { below } = seeded();
    let now: readonly Allocation[] = [];
    for (let round = 0; round < 300; round++) {
      const nodes = Array.from({ length: 12 }, (_, index) => `n${index}`).filter(() => below(10) < 7);
      const live = new Set(now.filter(({ nodeName }) => nodeName !== '' && below(2) === 0).map(textOf));
      const [range, size] = [below(4) === 0 ? '10.0.0.0/24' : '10.0.0.0/23', 26 + below(2)] as const;
      const isLive: SliceWish['isLive'] = (node, slice) => live.has(`${node}=${formatCidr(slice)}`);
      const { allocations } = plan(range, size, nodes, { current: now, isLive });
      const texts = new Set(allocations.map(textOf));
      expect([...live].filter((one) => !texts.has(one))).toEqual([]);
      const given = allocations.filter(({ nodeName }) => nodeName !== '').map(({ sliceRange }) => cidr(sliceRange));
      const bounds = given.map(({ ip, prefix }) => [ip.value, ip.value + (1n << BigInt(32 - prefix))] as const);
      const sorted = bounds.sort(([a], [b]) => (a < b ? -1 : 1));
      expect(sorted.every(([, end], index) => end <= (sorted[index + 1]?.[0] ?? end))).toBe(true);
      now = allocations;
    }
  });
});

describe('sliceSizeIn', () => {
  it.each([
    ['/26', '10.0.0.0/24', 26],
    ['26', '10.0.0.0/24', 26],
    ['24', '10.0.0.0/24', 24],
    ['/23', '10.0.0.0/24', undefined],
    ['/31', '10.0.0.0/24', undefined],
    ['/120', 'fd00::/64', 120],
    ['/26', 'fd00::/64', 122],
    ['/64', '10.0.0.0/24', undefined],
    ['big', '10.0.0.0/24', undefined],
  ])('%s of %s is %s', (text, range, size) => {
    expect(sliceSizeIn(text, cidr(range))).toBe(size);
  });
});

const network = (nad: string, ipam: object, name = 'conf') => {
  const [namespace, own = ''] = nad.split('/');
  const config = JSON.stringify({ name, ipam: { type: 'whereabouts', node_slice_size: '/26', ...ipam } });
  return clusterNetwork({ metadata: { name: own, namespace: namespace ?? '' }, spec: { config } }) as never;
};

describe('wantedSlices', () => {
  it('names one for each range, and lets unnamed networks be', () => {
    const { wanted, faults } = wantedSlices([
      network('lab/a', { network_name: 'blue', ipRanges: [{ range: '10.0.0.0/24' }, { range: 'fd00::/48' }] }),
      network('lab/b', { network_name: 'blue', ipRanges: [{ range: '10.0.0.0/24' }], node_slice_size: '26' }),
      network('lab/c', { range: '10.1.0.0/24' }, 'one'),
      network('lab/d', { range: '10.2.0.0/24' }, 'two'),
      network('lab/e', { range: '10.2.0.0/24', node_slice_size: '' }, 'three'),
    ]);
    expect(faults).toEqual([]);
    expect(wanted.map(({ name, range, size, nads }) => [name, formatCidr(range), size, nads])).toEqual([
      ['blue', '10.0.0.0/24', 26, ['lab/a', 'lab/b']],
      ['blue-fd00---48', 'fd00::/48', 122, ['lab/a']],
      ['one', '10.1.0.0/24', 26, ['lab/c']],
      ['two', '10.2.0.0/24', 26, ['lab/d']],
    ]);
  });

  it('tells of those that contradict each other, and goes on with the others', () => {
    const { wanted, faults } = wantedSlices([
      network('lab/a', { network_name: 'blue', range: '10.0.0.0/24' }),
      network('lab/b', { network_name: 'blue', range: '10.1.0.0/24' }),
      network('lab/c', { network_name: 'red', range: '10.0.0.0/24' }),
      network('lab/d', { network_name: 'odd', range: '10.0.0.0/24', node_slice_size: '/8' }),
      network('lab/e', { range: '10.0.0.0/24' }, ''),
    ]);
    expect(wanted.map(({ name }) => name)).toEqual(['red']);
    expect(faults.map(({ nads }) => nads)).toEqual([['lab/d'], ['lab/e'], ['lab/a', 'lab/b']]);
  });
});

describe('liveSlices', () => {
  it('finds them by their pools, and takes no other network for a node', () => {
    const entries = { 1: { id: 'c1', podref: 'lab/a' } };
    const pools = [
      ['blue-w-1-10.0.0.0-26', '10.0.0.0/26', entries],
      ['blue-w-2-10.0.0.64-26', '10.0.0.64/26', {}],
      ['blue-x-10.0.0.128-26', '10.0.0.128/26', entries],
      ['blue-w-3-10.9.0.0-26', '10.9.0.0/26', entries],
      ['red-w-1-10.0.0.192-26', '10.0.0.192/26', entries],
    ].map(([name, range, allocations]) =>
      sweptPool(poolObject('kube-system', name as string, { range, allocations } as never)),
    ) as readonly StoredPool[];
    const wanted = { networkName: 'blue', range: cidr('10.0.0.0/24') };
    expect(liveSlices(wanted, pools, new Set(['blue', 'blue-x'])).map(textOf)).toEqual(['w-1=10.0.0.0/26']);
  });
});
