import { describe, expect, it } from 'vitest';
import { formatIp, parseIp } from '../../lib/net/ip.ts';
import { readSets } from './ranges.ts';
import { candidatesOf } from './rotation.ts';

const [SET = [], ALONE = []] = readSets(
  [
    [
      { subnet: '10.0.0.0/29', rangeStart: '10.0.0.1', rangeEnd: '10.0.0.3', gateway: '' },
      { subnet: '10.0.1.0/29', rangeStart: '10.0.1.2', rangeEnd: '10.0.1.4', gateway: '10.0.1.3' },
    ],
    [{ subnet: 'fd00::/64', rangeStart: 'fd00::5', rangeEnd: 'fd00::5', gateway: '' }],
  ].map((ranges, index) => ({ key: `ipam.ranges[${index}]`, ranges })),
);
const orderOf = (set: typeof SET, last?: string) =>
  [...candidatesOf(set, last === undefined ? undefined : parseIp(last))].map(({ ip }) => formatIp(ip).slice(-3));

describe('candidatesOf', () => {
  it.each([
    [undefined, ['0.2', '0.3', '1.2', '1.4']],
    ['10.0.0.2', ['0.3', '1.2', '1.4', '0.2']],
    ['10.0.0.3', ['1.2', '1.4', '0.2', '0.3']],
    ['10.0.1.4', ['0.2', '0.3', '1.2', '1.4']],
    ['10.0.1.2', ['1.4', '0.2', '0.3', '1.2']],
    ['10.9.9.9', ['0.2', '0.3', '1.2', '1.4']],
    ['fd00::1', ['0.2', '0.3', '1.2', '1.4']],
  ])('after %s: each once, the gateways never, the last one last', (last, order) => {
    expect(orderOf(SET, last)).toEqual(order);
  });

  it('of a single address is that, whatever was before', () => {
    expect(orderOf(ALONE)).toEqual(['::5']);
    expect(orderOf(ALONE, 'fd00::5')).toEqual(['::5']);
  });

  it('is empty when the gateway is all there is', () => {
    const [set = []] = readSets([
      { key: 'x', ranges: [{ subnet: '10.0.0.0/24', rangeStart: '10.0.0.1', rangeEnd: '10.0.0.1', gateway: '' }] },
    ]);
    expect(orderOf(set)).toEqual([]);
    expect(orderOf(set, '10.0.0.1')).toEqual([]);
  });
});
