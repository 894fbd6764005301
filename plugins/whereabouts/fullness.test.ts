import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { fullnessAfter, fullnessOf } from './fullness.ts';
import type { LoadedPools } from './loaded-pools.ts';
import { planReservation } from './plan.ts';
import type { Pools } from './pool.ts';
import { owner, poolsWith, rangesOf } from './testing/fixtures.ts';

type Wanted = string | JsonObject;

const RANGE = '10.0.0.0/24';
const LARGE = '10.0.0.0/19';

/** The first addresses of a range are taken. */
const pools = (count: number, range = RANGE): LoadedPools =>
  poolsWith({
    [range]: Object.fromEntries(Array.from({ length: count }, (_, i) => [String(i + 1), `x/p${i} n id${i}`])),
  });

const told = (count: number, range: Wanted = RANGE, stored = RANGE, isAcross = true) =>
  fullnessOf(rangesOf(range), isAcross, pools(count, stored));

/** What is said of an ADD. */
function said(state: Pools, ...ranges: Wanted[]): readonly string[] {
  const request = { owner: owner('a/b net1 id'), ranges: rangesOf(...ranges), protectOverlaps: true };
  const { changes } = planReservation(request, state);
  return fullnessAfter(request.ranges, true, state, changes);
}

describe('fullnessOf', () => {
  it.each([
    [203, []],
    [204, [`range ${RANGE} is nearly full: 204 of 254 addresses are taken`]],
    [254, [`range ${RANGE} is full: all 254 addresses are taken`]],
  ])('of %i addresses that are taken', (count, expected) => {
    expect(told(count)).toEqual(expected);
  });

  it('counts what may be handed out: not what is excluded or outside of the window, whoever has it', () => {
    const range = { range: RANGE, range_end: '10.0.0.100', exclude: ['10.0.0.0/26', 'fd00::/8'] };
    expect(told(92, range)).toEqual([]); // 29 of .64 to .100
    expect(told(93, range)).toEqual([`range ${RANGE} is nearly full: 30 of 37 addresses are taken`]);
    expect(told(254, range)).toEqual([`range ${RANGE} is full: all 37 addresses are taken`]);
  });

  it('counts what other ranges have, where ranges are protected', () => {
    expect(told(254, RANGE, '10.0.0.0/16')).toHaveLength(1);
    expect(told(254, RANGE, '10.0.0.0/16', false)).toEqual([]);
  });

  it('says nothing of a range that is made to fit', () => {
    expect(told(6, '10.0.0.0/29', '10.0.0.0/29')).toEqual([]);
    expect(told(14, '10.0.0.0/28', '10.0.0.0/28')).toHaveLength(1);
    expect(told(254, { range: RANGE, exclude: ['10.0.0.0/24'] })).toEqual([]);
  });

  it('says what the store knows of a pool, once', () => {
    const state = Object.assign(pools(1), { remarks: (range: string) => [`${range} is large`] });
    expect(fullnessOf(rangesOf(RANGE, RANGE, 'fd00::/64'), true, state)).toEqual([
      `${RANGE} is large`,
      'fd00::/64 is large',
    ]);
  });
});

describe('fullnessAfter', () => {
  it('counts the address that is given', () => {
    expect(said(pools(202), RANGE)).toEqual([]);
    expect(said(pools(203), RANGE)).toEqual([`range ${RANGE} is nearly full: 204 of 254 addresses are taken`]);
    expect(said(pools(253), RANGE)).toEqual([`range ${RANGE} is full: all 254 addresses are taken`]);
  });

  it('says nothing when nothing is added', () => {
    const state = pools(253);
    state.apply([{ op: 'add', range: RANGE, ip: { family: 4, value: 0x0a0000fen }, entry: owner('a/b net1 id') }]);
    expect(said(state, RANGE)).toEqual([]);
  });

  it('says each thing once, and only of ranges that an address was taken from', () => {
    expect(said(pools(230), RANGE, RANGE, 'fd00::/64')).toEqual([
      `range ${RANGE} is nearly full: 232 of 254 addresses are taken`,
    ]);
  });

  it('counts a large range with every 64th address only', () => {
    const next = (count: number) => said(pools(count, LARGE), LARGE);
    expect(next(7039)).toEqual([`range ${LARGE} is nearly full: 7040 of 8190 addresses are taken`]);
    expect([next(7038), next(7040)]).toEqual([[], []]);
  });
});
