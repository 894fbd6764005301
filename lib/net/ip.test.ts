import { describe, expect, it } from 'vitest';
import { seeded } from '../sys/testing/seeded.ts';
import { formatIp, ipFromBytes, ipToBytes, parseIp, parseIpLenient } from './ip.ts';

const canonical = (text: string): string | undefined => {
  const ip = parseIp(text);
  return ip === undefined ? undefined : formatIp(ip);
};

describe('formatIp', () => {
  it.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['FD00:0:0:10::5', 'fd00:0:0:10::5'],
    ['fd00:0:0:10:0:0:0:0', 'fd00:0:0:10::'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // leftmost of two equal runs
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'], // the longest run
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // a single zero stays
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::ffff:0a01:0203', '10.1.2.3'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('writes %s as %s, as Go does', (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it('writes what parseIp reads as the same address, 2,000 times', () => {
    const random = seeded();
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.from(
        Array.from({ length: random.pick([4, 16]) }, () => random.pick([0, 0, 1, random.below(256)])),
      );
      const ip = ipFromBytes(bytes);
      if (ip.family === 6 && ip.value >> 32n === 0xffffn) {
        continue; // IPv4-mapped: read as IPv4
      }
      expect(parseIp(formatIp(ip)), `seed ${random.seed}, round ${round}: ${bytes.toString('hex')}`).toEqual(ip);
      expect(ipToBytes(ip).equals(bytes)).toBe(true);
    }
  });
});

describe('parseIp', () => {
  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    '01.2.3.4',
    '1.2.3.4/24',
    ' 1.2.3.4',
    'fe80::1%eth0',
    ':::',
    '1::2::3',
    '12345::',
    'g::1',
    '1:2:3:4:5:6:7:8:9',
    '0x1.2.3.4',
  ])('refuses "%s"', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });
});

describe('parseIpLenient', () => {
  it.each([
    ['010.001.002.003', '10.1.2.3'],
    ['000.0.0.00', '0.0.0.0'],
    ['0010::1', '10::1'],
    ['fd12:00ab::', 'fd12:ab::'],
    ['::ffff:010.1.2.3', '10.1.2.3'],
  ])('reads %s as %s', (text, expected) => {
    const ip = parseIpLenient(text);
    expect(ip === undefined ? undefined : formatIp(ip)).toBe(expected);
  });

  it.each(['', '300.1.1.1', '1.2.3', ' 1.2.3.4'])('refuses "%s"', (text) => {
    expect(parseIpLenient(text)).toBeUndefined();
  });
});
