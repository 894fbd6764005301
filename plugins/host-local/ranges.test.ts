import { describe, expect, it } from 'vitest';
import { formatCidr } from '../../lib/net/cidr.ts';
import { formatIp } from '../../lib/net/ip.ts';
import type { Bounds } from './config.ts';
import { formatSet, readSets } from './ranges.ts';

const bounds = (given: Partial<Bounds>): Bounds => ({
  subnet: '',
  rangeStart: '',
  rangeEnd: '',
  gateway: '',
  ...given,
});
const setsOf = (...sets: readonly (readonly Partial<Bounds>[])[]) =>
  readSets(sets.map((ranges, index) => ({ key: `ipam.ranges[${index}]`, ranges: ranges.map(bounds) })));
const rangeOf = (given: Partial<Bounds>) => {
  const [[range] = []] = setsOf([given]);
  const gateway = range?.gateway;
  return [
    range && formatSet([range]),
    gateway === undefined ? 'none' : formatIp(gateway),
    range && formatCidr(range.subnet),
  ];
};

describe('readSets', () => {
  it.each([
    [{ subnet: '10.0.0.0/24' }, ['10.0.0.1-10.0.0.254', '10.0.0.1', '10.0.0.0/24']],
    [{ subnet: '10.0.0.0/30' }, ['10.0.0.1-10.0.0.2', '10.0.0.1', '10.0.0.0/30']],
    [{ subnet: 'fd00::/64' }, ['fd00::1-fd00::ffff:ffff:ffff:ffff', 'fd00::1', 'fd00::/64']],
    [
      { subnet: '10.0.0.0/24', rangeStart: '10.0.0.0', rangeEnd: '10.0.0.255', gateway: '10.9.0.1' },
      ['10.0.0.0-10.0.0.255', '10.9.0.1', '10.0.0.0/24'],
    ],
    [{ subnet: '10.0.0.8/31' }, ['10.0.0.8-10.0.0.9', 'none', '10.0.0.8/31']],
    [{ subnet: '10.0.0.8/32', gateway: '10.0.0.1' }, ['10.0.0.8-10.0.0.8', '10.0.0.1', '10.0.0.8/32']],
    [{ subnet: 'fd00::8/127' }, ['fd00::8-fd00::9', 'none', 'fd00::8/127']],
    [{ subnet: 'fd00::8/128' }, ['fd00::8-fd00::8', 'none', 'fd00::8/128']],
  ])('completes %j', (given, complete) => {
    expect(rangeOf(given)).toEqual(complete);
  });

  it.each([
    [[{}], '"ipam.ranges[0][0].subnet": "" is not a subnet'],
    [[{ subnet: '10.0.0.1/24' }], 'has host bits set: its network address is 10.0.0.0'],
    [[{ subnet: '10.0.0.0/24', rangeStart: '10.0.1.1' }], '"10.0.1.1" is not in network 10.0.0.0/24'],
    [[{ subnet: '10.0.0.0/24', rangeEnd: 'fd00::1' }], '"fd00::1" is not in network 10.0.0.0/24'],
    [[{ subnet: '10.0.0.0/24', rangeStart: 'x' }], '"ipam.ranges[0][0].rangeStart": "x" is not an IP address'],
    [[{ subnet: '10.0.0.0/24', rangeStart: '10.0.0.9', rangeEnd: '10.0.0.8' }], 'rangeEnd": "10.0.0.8" makes a range'],
    [
      [{ subnet: '10.0.0.0/24', rangeStart: '10.0.0.255' }],
      'rangeStart": "10.0.0.255" makes a range without addresses',
    ],
    [[], '"ipam.ranges[0]": empty range set'],
    [[{ subnet: '10.0.0.0/24' }, { subnet: 'fd00::/64' }], 'mixed address families'],
    [[{ subnet: '10.0.0.0/24' }, { subnet: '10.0.0.0/16', rangeStart: '10.0.0.200' }], 'overlap'],
  ])('refuses %j', (set, words) => {
    expect(() => setsOf(set)).toThrow(words);
  });

  it('refuses sets that have an address in common, and no others of one subnet', () => {
    const half = { subnet: '10.0.0.0/24', rangeEnd: '10.0.0.99' };
    expect(() => setsOf([{ subnet: 'fd00::/64' }], [half], [{ ...half, rangeStart: '10.0.0.99' }])).toThrow(
      'range set 1 overlaps with 2',
    );
    expect(setsOf([half], [{ subnet: '10.0.0.0/24', rangeStart: '10.0.0.100' }])).toHaveLength(2);
  });
});
