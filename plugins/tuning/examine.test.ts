import { describe, expect, it } from 'vitest';
import { allowListOf } from './allow-list.ts';
import { findingsOf } from './examine.ts';

const network = (name: string, ...sysctls: readonly string[]) => ({
  type: 'tuning',
  name,
  sysctl: Object.fromEntries(sysctls.map((sysctl) => [sysctl, '1'])),
});

describe('doctor', () => {
  it('finds each sysctl that the allow-list refuses, once', () => {
    const confs = [
      network('a', 'net.ipv4.conf.IFNAME.arp_filter', 'net.core.somaxconn'),
      network('b', 'net/core/somaxconn', 'net.core.somaxconn', 'kernel.x'),
      { type: 'tuning', name: 'c', sysctl: 'x' },
    ];
    const findings = findingsOf(confs, allowListOf('net.ipv4.conf.IFNAME.*'));
    expect(findings.map(({ level, text }) => [level, text])).toEqual([
      ['fault', 'network "b" sets sysctl "net.core.somaxconn", which "/etc/cni/tuning/allowlist.conf" does not allow'],
      ['fault', 'network "b" sets sysctl "net/core/somaxconn", which "/etc/cni/tuning/allowlist.conf" does not allow'],
    ]);
  });
});
