import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { allowListOf, readAllowList } from './allow-list.ts';
import { readSysctlName } from './sysctl-name.ts';

function isAllowed(list: string, name: string): boolean {
  const readings = readSysctlName(name, 'net1');
  return typeof readings !== 'string' && readings.some(allowListOf(list));
}

describe('the allow-list', () => {
  it.each([
    ['^net.ipv4.conf.IFNAME.arp_filter$', 'net.ipv4.conf.IFNAME.arp_filter'],
    ['net\\.ipv4\\.conf\\.IFNAME\\.arp_filter', 'net/ipv4/conf/IFNAME/arp_filter'],
    ['^net/ipv4/conf/IFNAME/.*$', 'net.ipv4.conf.IFNAME.arp_filter'],
    [' ^net.core.somaxconn$ \r\n\n^x$', 'net.core.somaxconn'],
    ['^net.core.[[:alpha:]_]+$', 'net.core.somaxconn'],
    ['\\Anet\\.core\\.somaxconn\\z', 'net.core.somaxconn'],
    ['(?i)NET.CORE.SOMAXCONN', 'net.core.somaxconn'],
    ['a|net.core.somaxconn', 'net.core.somaxconn'],
    ['(?P<all>net.*)', 'net.core.somaxconn'],
  ])('%j allows %s', (list, name) => {
    expect(isAllowed(list, name)).toBe(true);
  });

  it.each([
    ['', 'net.core.somaxconn'],
    ['\n \n', 'net.core.somaxconn'],
    ['net.ipv4.conf.IFNAME.accept', 'net.ipv4.conf.IFNAME.accept_redirects'],
    ['ipv4', 'net.ipv4.ip_forward'],
    ['^a$|net.core.so', 'net.core.somaxconn'],
    ['^net.ipv4.conf.IFNAME.arp_filter$', 'net.ipv4.conf.net1.arp_filter'],
    ['^net.ipv4.conf.IFNAME.arp_filter$', 'net.ipv4.conf.all.arp_filter'],
    ['^net.core.[[:digit:]]+$', 'net.core.somaxconn'],
    ['# net.core.somaxconn', 'net.core.somaxconn'],
  ])('%j does not allow %s', (list, name) => {
    expect(isAllowed(list, name)).toBe(false);
  });

  it('allows all without the file, and none when it is empty', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'allowlist.conf');
    const any = { path: 'net/a', dotted: 'net.a', slashed: 'net/a' };
    expect(readAllowList(path)(any)).toBe(true);
    writeFileSync(path, '');
    expect(readAllowList(path)(any)).toBe(false);
  });

  it('is refused when it cannot be read, or has an expression that is none', () => {
    using folder = temporaryFolder();
    expect(() => readAllowList(folder.path)).toThrow(`cannot read "${folder.path}": EISDIR`);
    expect(() => allowListOf('net.a\n(', '/list')).toThrow(/^cannot use "\(" of "\/list": /);
  });
});
