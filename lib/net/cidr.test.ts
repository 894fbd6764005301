import { describe, expect, it } from 'vitest';
import {
  type Cidr,
  contains,
  formatCidr,
  lastAddress,
  masked,
  networkOf,
  overlaps,
  parseCidr,
  parseCidrLenient,
  sizeOf,
} from './cidr.ts';
import { formatIp, type Ip, parseIp } from './ip.ts';

const cidr = (text: string): Cidr => parseCidr(text) as Cidr;
const ip = (text: string): Ip => parseIp(text) as Ip;

describe('parseCidr', () => {
  it('keeps the host bits', () => {
    expect(formatCidr(cidr('10.9.7.130/25'))).toBe('10.9.7.130/25');
    expect(formatCidr(masked(cidr('10.9.7.130/25')))).toBe('10.9.7.128/25');
    expect(formatCidr(masked(cidr('fd00::ab:1/112')))).toBe('fd00::ab:0/112');
  });

  it.each([
    ['::ffff:10.1.2.3/120', '10.1.2.3/24'],
    ['::ffff:0a01:0203/128', '10.1.2.3/32'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
  ])('takes an IPv4 address in IPv6 form: %s', (text, plain) => {
    expect(formatCidr(cidr(text))).toBe(plain);
  });

  it.each([
    '::ffff:10.1.2.3/24',
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/+8',
    '10.0.0.0/ 8',
    '10.0.0.0/033',
    '10.0.0.0/8x',
    '10.0.0.0/0x8',
    '10.0.0.0/99999999999',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    'fd00::/129',
    'a/8',
    '010.0.0.0/8',
  ])('refuses "%s"', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  it.each([
    ['10.0.0.0/024', '10.0.0.0/24'],
    ['10.0.0.0/00', '10.0.0.0/0'],
    ['fd00::/0128', 'fd00::/128'],
    ['10.0.0.0/000000000000000000000000000000000000024', '10.0.0.0/24'],
  ])('reads "%s" as Go does, whatever zeros its length begins with', (text, meant) => {
    expect(formatCidr(cidr(text))).toBe(meant);
  });

  it('allows leading zeros in the address when told', () => {
    expect(parseCidrLenient('010.0.00.0/8')).toEqual(cidr('10.0.0.0/8'));
  });
});

describe('a prefix', () => {
  it.each([
    ['10.9.7.130/25', '10.9.7.128', '10.9.7.255', 128n],
    ['10.9.7.130/32', '10.9.7.130', '10.9.7.130', 1n],
    ['0.0.0.0/0', '0.0.0.0', '255.255.255.255', 2n ** 32n],
    ['fd00::5/64', 'fd00::', 'fd00::ffff:ffff:ffff:ffff', 2n ** 64n],
    ['::/0', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 2n ** 128n],
  ])('%s spans from %s to %s', (text, first, last, size) => {
    expect([formatIp(networkOf(cidr(text))), formatIp(lastAddress(cidr(text))), sizeOf(cidr(text))]).toEqual([
      first,
      last,
      size,
    ]);
  });

  it('contains addresses of its own family only', () => {
    expect(contains(cidr('10.9.7.130/25'), ip('10.9.7.129'))).toBe(true);
    expect(contains(cidr('10.9.7.130/25'), ip('10.9.7.127'))).toBe(false);
    expect(contains(cidr('::/0'), ip('10.0.0.1'))).toBe(false);
  });

  it('overlaps another when one holds the other', () => {
    expect(overlaps(cidr('10.0.0.0/8'), cidr('10.9.0.0/16'))).toBe(true);
    expect(overlaps(cidr('10.9.0.0/16'), cidr('10.0.0.0/8'))).toBe(true);
    expect(overlaps(cidr('10.8.0.0/16'), cidr('10.9.0.0/16'))).toBe(false);
    expect(overlaps(cidr('0.0.0.0/0'), cidr('::/0'))).toBe(false);
  });
});
