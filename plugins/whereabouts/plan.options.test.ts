import { describe, expect, it } from 'vitest';
import { formatIp } from '../../lib/net/ip.ts';
import { planReservation, type Reservation } from './plan.ts';
import type { Pools } from './pool.ts';
import { owner, poolsWith, rangesOf, requested } from './testing/fixtures.ts';

const RANGE = '10.0.0.0/24';

function plan(who: string, more: Partial<Reservation>, state: Pools = poolsWith({}), ranges = [RANGE]) {
  const request = { owner: owner(who), ranges: rangesOf(...ranges), protectOverlaps: true, ...more };
  const { answer, changes } = planReservation(request, state);
  return { ips: answer.map(formatIp), changes: changes.map((c) => `${c.op} ${formatIp(c.ip)} of ${c.range}`) };
}

describe('an address that is asked for', () => {
  const asking = (...texts: string[]) => ({ requested: requested(...texts) });

  it('is reserved in its range; the other ranges give their lowest', () => {
    expect(plan('a/b net1 id', asking('10.0.0.77'), poolsWith({}), ['fd00::/64', RANGE])).toEqual({
      ips: ['fd00::1', '10.0.0.77'],
      changes: ['add fd00::1 of fd00::/64', 'add 10.0.0.77 of 10.0.0.0/24'],
    });
  });

  it('is given again to the very attachment, and to its pod in another container', () => {
    const state = poolsWith({ [RANGE]: { '77': 'a/b net1 old' } });
    expect(plan('a/b net1 old', asking('10.0.0.77'), state)).toEqual({ ips: ['10.0.0.77'], changes: [] });
    expect(plan('a/b net1 new', asking('10.0.0.77'), state)).toEqual({
      ips: ['10.0.0.77'],
      changes: ['replace 10.0.0.77 of 10.0.0.0/24'],
    });
  });

  it('is given beside what the pod holds, which may be in use until it is released', () => {
    const state = poolsWith({ [RANGE]: { '1': 'a/b net1 old' } });
    const given = { ips: ['10.0.0.77'], changes: ['add 10.0.0.77 of 10.0.0.0/24'] };
    expect(plan('a/b net1 new', asking('10.0.0.77'), state)).toEqual(given);
  });

  it('is given to no other range of the call', () => {
    expect(plan('a/b net1 id', asking('10.0.0.1'), poolsWith({}), ['10.0.0.0/28', RANGE]).ips).toEqual([
      '10.0.0.1',
      '10.0.0.2',
    ]);
    const held = poolsWith({ [RANGE]: { '1': 'a/b net1 id', '7': 'a/b net1 id' } });
    expect(plan('a/b net1 id', asking('10.0.0.1'), held, [RANGE, RANGE])).toEqual({
      ips: ['10.0.0.1', '10.0.0.7'],
      changes: [],
    });
  });

  it.each([
    ['x/y net1 idX', true, RANGE, 'x/y net1 has it'],
    ['- net1 idX', true, RANGE, 'container idX net1 has it'],
    ['a/b net2 id', true, RANGE, 'a/b net2 has it'],
    ['x/y net1 idX', true, '10.0.0.0/16', 'x/y net1 has it in range 10.0.0.0/16'],
  ])('is refused when %s has it', (who, protectOverlaps, range, why) => {
    const state = poolsWith({ [range]: { '77': who } });
    expect(() => plan('a/b net1 id', { ...asking('10.0.0.77'), protectOverlaps }, state)).toThrow(
      expect.objectContaining({
        code: 999,
        message: `cannot give 10.0.0.77, which IP of CNI_ARGS asks for: ${why}`,
      }),
    );
  });

  it('is given although another range has it, where ranges are not protected', () => {
    const state = poolsWith({ '10.0.0.0/16': { '77': 'x/y net1 idX' } });
    expect(plan('a/b net1 id', { ...asking('10.0.0.77'), protectOverlaps: false }, state).ips).toEqual(['10.0.0.77']);
  });

  it('is refused when the pod holds it and another range has given it away', () => {
    const state = poolsWith({ [RANGE]: { '77': 'a/b net1 id' }, '10.0.0.0/16': { '77': 'x/y net1 idX' } });
    expect(() => plan('a/b net1 id', asking('10.0.0.77'), state)).toThrow('x/y net1 has it in range 10.0.0.0/16');
  });

  it('that no range gives is refused by the plan too', () => {
    expect(() => plan('a/b net1 id', asking('10.0.1.1'))).toThrow('no range gives it');
  });
});

describe('a pod that is forgotten', () => {
  const state = poolsWith({ [RANGE]: { '1': 'a/b net1 old' } });

  it('gets another address in another container, and the same in the same', () => {
    expect(plan('a/b net1 new', { isPodForgotten: true }, state)).toEqual({
      ips: ['10.0.0.2'],
      changes: ['add 10.0.0.2 of 10.0.0.0/24'],
    });
    expect(plan('a/b net1 old', { isPodForgotten: true }, state)).toEqual({ ips: ['10.0.0.1'], changes: [] });
  });

  it('is refused an address that its former container has', () => {
    expect(() => plan('a/b net1 new', { isPodForgotten: true, requested: requested('10.0.0.1') }, state)).toThrow(
      'a/b net1 has it',
    );
  });
});
