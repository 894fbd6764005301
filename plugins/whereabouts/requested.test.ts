import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { matchRequested } from './requested.ts';
import { rangesOf, requested } from './testing/fixtures.ts';

const matched = (asked: readonly string[], ...ranges: readonly (string | JsonObject)[]) =>
  matchRequested(requested(...asked), rangesOf(...ranges)).map((one) => one && formatIp(one.ip));

describe('matchRequested', () => {
  it('puts each address into the range that gives it, whatever their order', () => {
    expect(matched(['fd00::5', '10.0.0.9'], '10.1.0.0/24', '10.0.0.0/24', 'fd00::/64')).toEqual([
      undefined,
      '10.0.0.9',
      'fd00::5',
    ]);
  });

  it('leaves none over where ranges overlap, if that can be', () => {
    // The first could have either range, the second only the first one.
    expect(matched(['10.0.0.9', '10.0.1.9'], '10.0.0.0/16', '10.0.0.0/24')).toEqual(['10.0.1.9', '10.0.0.9']);
    expect(matched(['10.0.0.1', '10.0.0.2', '10.0.0.3'], '10.0.0.0/24', '10.0.0.0/24', '10.0.0.0/28')).toHaveLength(3);
  });

  it('takes window and exclusions of each range for themselves', () => {
    const low = { range: '10.0.0.0/24', range_end: '10.0.0.99' };
    const high = { range: '10.0.0.0/24', range_start: '10.0.0.100', exclude: ['10.0.0.200'] };
    expect(matched(['10.0.0.150'], low, high)).toEqual([undefined, '10.0.0.150']);
    expect(() => matched(['10.0.0.200'], low, high)).toThrow('range "10.0.0.0/24" excludes it');
    expect(() => matched(['10.0.0.255'], low, high)).toThrow(
      'no range gives it: they have 10.0.0.1 to 10.0.0.99, 10.0.0.100 to 10.0.0.254',
    );
  });

  it('does not take long over many ranges that are the same', () => {
    const many = Array.from({ length: 64 }, () => '10.0.0.0/24');
    const asked = Array.from({ length: 64 }, (_, index) => `10.0.0.${index + 1}`);
    expect(new Set(matched(asked, ...many)).size).toBe(64);
    expect(() => matched([...asked, '10.0.0.99'], ...many)).toThrow('each range gives one address');
  });
});
