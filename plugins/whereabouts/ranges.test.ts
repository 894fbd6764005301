import { describe, expect, it } from 'vitest';
import { formatCidr } from '../../lib/net/cidr.ts';
import { formatIp } from '../../lib/net/ip.ts';
import type { Range } from '../../lib/net/range.ts';
import { type ConfiguredRange, readRanges } from './ranges.ts';
import { ipam, rangesOf } from './testing/fixtures.ts';

const ends = ({ family, first, last }: Range): string =>
  `${formatIp({ family, value: first })} ${formatIp({ family, value: last })}`;

const seen = ({ cidr, window }: ConfiguredRange): string => `${formatCidr(cidr)} ${ends(window)}`;

describe('readRanges', () => {
  it.each([
    [{ range: '10.9.7.130/25' }, '10.9.7.128/25 10.9.7.129 10.9.7.254'],
    [{ range: '10.9.7.130/25', range_start: '10.9.7.200' }, '10.9.7.128/25 10.9.7.200 10.9.7.254'],
    [{ range: '10.9.7.130/25', range_end: '10.9.7.200' }, '10.9.7.128/25 10.9.7.129 10.9.7.200'],
    [{ range: '10.9.7.20-10.9.7.90/24' }, '10.9.7.0/24 10.9.7.20 10.9.7.90'],
    [
      { range: '10.9.7.20-10.9.7.90/24', range_start: '10.9.7.1', range_end: '10.9.7.2' },
      '10.9.7.0/24 10.9.7.20 10.9.7.90',
    ],
    [{ range: 'fd12:00ab::/64' }, 'fd12:ab::/64 fd12:ab::1 fd12:ab::ffff:ffff:ffff:fffe'],
    [{ range: 'fd21:40::10-fd21:40::ff/120' }, 'fd21:40::/120 fd21:40::10 fd21:40::fe'],
    [{ range: '010.001.000.000/16' }, '10.1.0.0/16 10.1.0.1 10.1.255.254'],
    [
      { range: '192.0.2.0/24', range_start: '192.0.2.0', range_end: '192.0.2.255' },
      '192.0.2.0/24 192.0.2.1 192.0.2.254',
    ],
    [{ range: '192.0.2.0/24', range_start: 'fd00::1' }, '192.0.2.0/24 192.0.2.1 192.0.2.254'],
  ])('reads %o', (keys, expected) => {
    expect(rangesOf(keys).map(seen)).toEqual([expected]);
    expect(readRanges(ipam(keys)).map(seen)).toEqual([expected]);
  });

  it.each([
    ['10.7.0.0/31', '10.7.0.0/31 10.7.0.0 10.7.0.1'],
    ['10.7.0.9/32', '10.7.0.9/32 10.7.0.9 10.7.0.9'],
    ['fd00::/127', 'fd00::/127 fd00:: fd00::1'],
    ['fd00::7/128', 'fd00::7/128 fd00::7 fd00::7'],
    ['10.7.0.1-10.7.0.1/31', '10.7.0.0/31 10.7.0.1 10.7.0.1'],
    ['10.7.0.0/30', '10.7.0.0/30 10.7.0.1 10.7.0.2'],
  ])('takes all of a subnet of one or two addresses when told to: %s', (range, expected) => {
    expect(readRanges(ipam({ range, small_subnets: true })).map(seen)).toEqual([expected]);
  });

  it.each([
    [{ reserve_gateway: true }, [['10.1.0.254'], []]],
    [{ reserve_gateway: false }, [[], []]],
    [{ reserve_gateway: true, gateway: '' }, [[], []]],
    [{ reserve_gateway: true, gateway: 'fd00::1' }, [[], ['fd00::1']]],
    [{ reserve_gateway: true, gateway: '10.1.0.0' }, [[], []]],
  ])('excludes the gateway from the range that has it, with %o', (keys, expected) => {
    const ranges = readRanges(
      ipam({ ipRanges: [{ range: '10.1.0.0/24' }, { range: 'fd00::/64' }], gateway: '10.1.0.254', ...keys }),
    );
    expect(ranges.map(({ excludedTexts }) => excludedTexts)).toEqual(expected);
    expect(ranges.map(({ excluded }) => excluded.map((one) => ends(one).split(' ')[0]))).toEqual(expected);
  });

  it('takes `range` before `ipRanges`, each with its own exclusions', () => {
    const ranges = readRanges(
      ipam({
        ipRanges: [{ range: '10.2.0.0/16', exclude: ['10.2.1.0/24'] }],
        range: '10.1.0.0/16',
        exclude: ['10.1.0.1'],
      }),
    );
    expect(ranges.map(({ cidr, excluded }) => [formatCidr(cidr), excluded.map(ends)])).toEqual([
      ['10.1.0.0/16', ['10.1.0.1 10.1.0.1']],
      ['10.2.0.0/16', ['10.2.1.0 10.2.1.255']],
    ]);
  });

  it('masks exclusions, and accepts those that lie outside of the range', () => {
    const [range] = rangesOf({ range: '10.1.0.0/16', exclude: ['10.1.0.77/28', '192.0.2.1', 'fd00::/64'] });
    expect(range?.excluded.map(ends)).toEqual([
      '10.1.0.64 10.1.0.79',
      '192.0.2.1 192.0.2.1',
      'fd00:: fd00::ffff:ffff:ffff:ffff',
    ]);
  });

  it('tells which bounds have no effect', () => {
    expect(rangesOf({ range: '192.0.2.0/24', range_start: '10.0.0.1', range_end: '192.0.2.255' })[0]?.ignored).toEqual([
      'start 10.0.0.1',
      'end 192.0.2.255',
    ]);
    expect(rangesOf('192.0.2.8/24')[0]?.ignored).toEqual([]);
  });

  it('takes a window of one address, and bounds of several families, of which one is ignored', () => {
    expect(rangesOf({ range: '192.0.2.7-192.0.2.7/24' }).map(seen)).toEqual(['192.0.2.0/24 192.0.2.7 192.0.2.7']);
    expect(rangesOf({ range: '192.0.2.0/24', range_start: 'fd00::1', range_end: '192.0.2.9' }).map(seen)).toEqual([
      '192.0.2.0/24 192.0.2.1 192.0.2.9',
    ]);
  });

  it('is content without a range', () => {
    expect(readRanges(ipam({}))).toEqual([]);
  });

  it.each([
    [{ range: '10.9.7.20' }, 'ipRanges[0].range" "10.9.7.20": invalid CIDR 10.9.7.20'],
    [{ range: '' }, 'cannot use "ipam.ipRanges[0].range" "": it is empty'],
    [
      { subnet: '10.9.7.0/24', rangestart: '10.9.7.4' },
      '"ipam.ipRanges[0].range" "": it is empty; "subnet" is a key of host-local: write "range"; "rangestart" is a key of host-local: write "range_start"',
    ],
    [
      { range: '10.9.7.90-10.9.7.20/24' },
      'ipRanges[0].range" "10.9.7.90-10.9.7.20/24": 10.9.7.90 lies after the end, 10.9.7.20',
    ],
    [
      { range: '192.0.2.0/24', range_start: '192.0.2.250', range_end: '192.0.2.9' },
      'ipRanges[0].range_start" "192.0.2.250": 192.0.2.250 lies after the end, 192.0.2.9',
    ],
    [{ range: 'fd00::/64', range_start: 'fd01::2', range_end: 'fd00::1' }, 'fd01::2 lies after the end, fd00::1'],
    [{ range: '10.9.7.0/33' }, 'invalid CIDR 10.9.7.0/33'],
    [{ range: '10.9.7.20-10.9.7.90' }, 'invalid CIDR 10.9.7.90'],
    [{ range: '10.9.7.20 - 10.9.7.90/24' }, 'range" "10.9.7.20 - 10.9.7.90/24": invalid range start IP: "10.9.7.20 "'],
    [{ range: '10.9.8.20-10.9.7.90/24' }, 'invalid range start for CIDR 10.9.7.0/24: 10.9.8.20'],
    [{ range: 'fd00::1-10.9.7.90/24' }, 'invalid range start for CIDR 10.9.7.0/24: fd00::1'],
    [{ range: '10.9.7.0/31' }, 'net mask is too short, subnet 10.9.7.0/31 has no usable IP addresses'],
    [{ range: 'fd00::/127' }, 'net mask is too short, subnet fd00::/127 has no usable IP addresses'],
    [
      { range: '10.9.7.0/24', exclude: ['10.9.7.0/33'] },
      'ipRanges[0].exclude[0]" "10.9.7.0/33": could not parse exclude range',
    ],
    [{ range: '10.9.7.0/24', exclude: ['10.9.7.1', 'x'] }, 'exclude[1]" "x": could not parse exclude range'],
    [{ range: '10.9.7.0/24', exclude: ['010.9.7.1'] }, 'could not parse exclude range'],
    [
      { range: '10.9.7.0/24', range_start: '10.9.7.300' },
      'ipRanges[0].range_start" "10.9.7.300": it is not an IP address',
    ],
    [{ range: '10.9.7.0/24', range_end: '010.9.7.3' }, 'ipRanges[0].range_end" "010.9.7.3": it is not an IP address'],
  ])('refuses %o', (keys, fragment) => {
    expect(() => rangesOf(keys)).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringContaining(fragment) }),
    );
  });

  it('reads the bounds of the top level leniently, and names them when they are none', () => {
    expect(readRanges(ipam({ range: '10.9.7.0/24', range_end: '010.9.7.3' })).map(seen)).toEqual([
      '10.9.7.0/24 10.9.7.1 10.9.7.3',
    ]);
    expect(() => readRanges(ipam({ range: '10.9.7.0/24', range_end: 'x' }))).toThrow(
      expect.objectContaining({ code: 7, message: 'cannot use "ipam.range_end" "x": it is not an IP address' }),
    );
  });
});
