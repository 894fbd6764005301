import { describe, expect, it } from 'vitest';
import { type Cidr, masked, networkOf, parseCidr } from '../../lib/net/cidr.ts';
import { addressOf, keyOf, networkNameOf, poolName, reservationName } from './names.ts';
import { ip } from './testing/fixtures.ts';

const cidr = (text: string): Cidr => masked(parseCidr(text) as Cidr);

describe('poolName', () => {
  it.each([
    ['', '10.40.0.0/16', '10.40.0.0-16'],
    ['', 'fd00:0:0:10::/64', 'fd00-0-0-10---64'],
    ['blue', '2001:db8::/116', 'blue-2001-db8---116'],
    ['blue', '10.40.3.0/26', 'blue-10.40.3.0-26'],
  ])('of network "%s" and range %s is %s', (network, range, expected) => {
    expect(poolName(network, cidr(range))).toBe(expected);
    expect(networkNameOf(expected, cidr(range))).toBe(network);
  });

  it.each(['blue-10.40.3.0-27', '1010.40.3.0-26', 'blue.10.40.3.0-26', ''])('is not %s for another range', (name) => {
    expect(networkNameOf(name, cidr('10.40.3.0/26'))).toBeUndefined();
  });
});

describe('reservationName', () => {
  it.each([
    ['', '10.40.0.9', '10.40.0.9'],
    ['blue', '172.21.40.16', 'blue-172.21.40.16'],
    ['', 'fd00:0:0:10::5', 'fd00-0-0-10--5'],
    ['blue', 'fd00:0:0:10::', 'blue-fd00-0-0-10--0'],
    ['', '2001:DB8:0:0:1:0:0:1', '2001-db8--1-0-0-1'], // the first of two runs of zeros that are as long
    ['', '2001:db8:0:1:1:1:1:1', '2001-db8-0-1-1-1-1-1'], // a single zero is not a run
    ['', '::ffff:10.1.2.3', '10.1.2.3'],
  ])('of network "%s" and address %s is %s', (network, address, expected) => {
    expect(reservationName(network, ip(address))).toBe(expected);
  });
});

describe('keys', () => {
  it.each([
    ['192.0.2.0/24', '192.0.2.1', '1'],
    ['10.0.0.0/8', '10.1.0.0', '65536'],
    ['10.0.0.0/8', '10.255.255.254', '16777214'],
    ['fd00:0:0:10::/64', 'fd00:0:0:10::1', '1'],
    ['fd00:0:0:10::/64', 'fd00:0:0:10:0:1::', '4294967296'],
    ['fd00:0:0:10::/64', 'fd00:0:0:10:7fff:ffff:ffff:ffff', '9223372036854775807'],
    ['fd00:0:0:10::/64', 'fd00:0:0:10:8000::', '9223372036854775808'], // lost by the Go plugin
    ['fd00::/16', 'fd00:1::', '79228162514264337593543950336'],
    ['10.40.3.64/26', '10.40.3.65', '1'],
  ])('in %s that of %s is %s, and leads back', (range, address, key) => {
    expect(keyOf(networkOf(cidr(range)).value, ip(address).value)).toBe(key);
    expect(addressOf(cidr(range), key)).toEqual(ip(address));
  });

  it.each(['05', '+5', '-1', '', '1.0', '1e3', ' 1', '256'])('"%s" is none in a /24', (key) => {
    expect(addressOf(cidr('192.0.2.0/24'), key)).toBeUndefined();
  });
});
