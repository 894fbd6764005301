import { describe, expect, it } from 'vitest';
import { isSameValue, readSysctlName } from './sysctl-name.ts';

const pathsOf = (name: string, ifName = 'net1'): readonly string[] | string => {
  const readings = readSysctlName(name, ifName);
  return typeof readings === 'string' ? readings : readings.map(({ path }) => path);
};

describe('readSysctlName', () => {
  it.each([
    ['net.ipv4.conf.IFNAME.arp_filter', 'net/ipv4/conf/net1/arp_filter'],
    ['net/ipv4/conf/IFNAME/arp_filter', 'net/ipv4/conf/net1/arp_filter'],
    ['/net/core/somaxconn', 'net/core/somaxconn'],
    ['net.ipv4.conf.all.arp_filter', 'net/ipv4/conf/all/arp_filter'],
  ])('reads %s in one way', (name, path) => {
    expect(pathsOf(name)).toEqual([path]);
  });

  it('puts in an interface with dots, once, and takes no pattern of replacement from it', () => {
    expect(pathsOf('net.ipv4.conf.IFNAME.arp_filter', 'eth0.5')).toEqual(['net/ipv4/conf/eth0.5/arp_filter']);
    expect(pathsOf('net.IFNAME.IFNAME', "$&$'")).toEqual(["net/$&$'/IFNAME"]);
    expect(pathsOf('net/ipv4/conf/IFNAME.7/x')).toContain('net/ipv4/conf/net1.7/x');
  });

  it.each([
    ['net/ipv4/conf/eth0.5/arp_filter', ['net/ipv4/conf/eth0.5/arp_filter', 'net/ipv4/conf/eth0/5/arp_filter']],
    ['net.ipv4.conf.eth0/5.arp_filter', ['net/ipv4/conf/eth0.5/arp_filter', 'net/ipv4/conf/eth0/5/arp_filter']],
    ['net.ipv4/conf/all/arp_filter', ['net/ipv4.conf.all.arp_filter', 'net/ipv4/conf/all/arp_filter']],
    ['net/ipv4.conf.all.arp_filter', ['net/ipv4.conf.all.arp_filter', 'net/ipv4/conf/all/arp_filter']],
  ])('reads %s first as sysctl(8), then as Go', (name, paths) => {
    expect(pathsOf(name)).toEqual(paths);
  });

  it.each([
    '',
    'net',
    'net.',
    '.net.x',
    '//net/x',
    'net//x',
    'kernel.hostname',
    'netfilter.x',
    'a',
    'net.a\0.b',
    'NET.a',
  ])('refuses %j, which is no sysctl of the network', (name) => {
    expect(pathsOf(name)).toBe('is not the name of a sysctl below "net"');
  });

  it.each(['net/../kernel/hostname', 'net/ipv4/..', './net/x', 'net/./x', 'net.ipv4.//.x', '../x'])(
    'refuses %j, which leads elsewhere',
    (name) => {
      expect(pathsOf(name)).toMatch(/^(leads elsewhere|is not the name of a sysctl below "net")$/);
    },
  );

  it('never leaves net, whatever the name is made of', () => {
    const parts = ['net', '.', '/', '..', 'IFNAME', 'x', '\0', ''];
    let seed = 1;
    const next = (limit: number): number => {
      seed = (seed * 48_271) % 0x7fff_ffff;
      return seed % limit;
    };
    for (let round = 0; round < 20_000; round++) {
      const name = Array.from({ length: 1 + next(8) }, () => parts[next(parts.length)]).join('');
      const paths = pathsOf(name);
      for (const path of typeof paths === 'string' ? [] : paths) {
        expect(path).toMatch(/^net(\/[^/\0]+)+$/);
        expect(path.split('/').filter((part) => part === '..' || part === '.')).toEqual([]);
      }
    }
  });

  it('says what is written in both notations, for the allow-list', () => {
    expect(readSysctlName('net/ipv4/conf/eth0.5/x', 'net1')).toMatchObject([
      { dotted: 'net.ipv4.conf.eth0/5.x', slashed: 'net/ipv4/conf/eth0.5/x' },
      { dotted: 'net.ipv4.conf.eth0.5.x', slashed: 'net/ipv4/conf/eth0/5/x' },
    ]);
    expect(readSysctlName('net/ipv4/conf/IFNAME/x', 'eth0.5')).toMatchObject([{ dotted: 'net.ipv4.conf.IFNAME.x' }]);
  });
});

describe('isSameValue', () => {
  it.each([
    ['1', '1'],
    ['20000 30000', '20000\t30000'],
    [' 1\n', '1'],
    ['0x10', '16'],
    ['010', '8'],
    ['-1', '-1'],
    ['', ''],
    ['cubic reno', 'cubic  reno'],
    ['1,2', '1,2'],
  ])('%j is what the kernel shows as %j', (wanted, shown) => {
    expect(isSameValue(wanted, shown)).toBe(true);
  });

  it.each([
    ['1', '0'],
    ['1', '1 1'],
    ['1 2', '1'],
    ['09', '9'],
    ['-1', '1'],
    ['cubic', 'reno'],
    ['1e1', '10'],
  ])('%j is not %j', (wanted, shown) => {
    expect(isSameValue(wanted, shown)).toBe(false);
  });
});
