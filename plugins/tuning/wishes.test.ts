import { describe, expect, it } from 'vitest';
import { readConf } from '../../lib/cni/config.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { TuningConf } from './config.ts';
import { wishesOf } from './wishes.ts';

const MAC = '02:00:00:00:00:07';

const wishes = (conf: JsonObject, args = '') => wishesOf({ conf: readConf(TuningConf, conf), args, ifName: 'net1' });

const sysctlsOf = (conf: JsonObject) =>
  wishes(conf).sysctls.map(({ value, readings }) => `${readings[0]?.path}=${value}`);

describe('wishesOf', () => {
  it('wants nothing of what is absent, null, empty or off', () => {
    const nothing = { settings: {}, sysctls: [] };
    expect(wishes({})).toEqual(nothing);
    const nulls = {
      mac: null,
      mtu: null,
      promisc: null,
      allmulti: null,
      txQLen: null,
      sysctl: null,
      args: { cni: null },
    };
    expect(wishes(nulls)).toEqual(nothing);
    expect(wishes({ mac: '', mtu: 0, promisc: false, args: { cni: { mac: null, mtu: null, promisc: null } } })).toEqual(
      nothing,
    );
  });

  it('wants what is given, also what is off or zero where that means something', () => {
    expect(wishes({ mac: '02-00-00-00-00-07', mtu: 1400, promisc: true, allmulti: false, txQLen: 0 }).settings).toEqual(
      {
        mac: MAC,
        mtu: 1400,
        isPromiscuous: true,
        isAllMulticast: false,
        txQueueLength: 0,
      },
    );
  });

  it('lets the attachment beat the network', () => {
    const network = { mac: MAC, mtu: 1400, promisc: true, allmulti: true, txQLen: 5 };
    const own = { mac: '', mtu: 0, promisc: false, allmulti: false, txQLen: 6 };
    expect(wishes({ ...network, args: { cni: own } }).settings).toEqual({ isAllMulticast: false, txQueueLength: 6 });
  });

  it.each([
    [{ mac: '02:00:00:00:00:01' }, `MAC=${MAC}`],
    [{ mac: '02:00:00:00:00:01', runtimeConfig: { mac: MAC } }, 'MAC=02:00:00:00:00:02'],
    [{ runtimeConfig: { mac: '02:00:00:00:00:01' }, args: { cni: { mac: MAC } } }, 'MAC=02:00:00:00:00:02'],
  ])('takes the address of the last of configuration, CNI_ARGS, runtime and args.cni: %j', (conf, args) => {
    expect(wishes(conf, args).settings).toEqual({ mac: MAC });
  });

  it('says what is wrong in CNI_ARGS, whoever beats it', () => {
    expect(() => wishes({ runtimeConfig: { mac: MAC } }, 'A=b')).toThrow('unknown arguments');
    expect(() => wishes({ mac: MAC }, 'MAC=x')).toThrow('cannot use MAC of CNI_ARGS');
    expect(wishes({ runtimeConfig: { mac: MAC } }, 'MAC=x').settings).toEqual({ mac: MAC });
  });

  it.each([
    ['x', 'is not a hardware address'],
    ['00:00:00:00:00:00', 'is all zero'],
    ['01:00:5e:00:00:01', 'is a multicast address'],
  ])('refuses the address %s: it %s', (mac, why) => {
    expect(() => wishes({ mac })).toThrow(`cannot use "mac" "${mac}": it ${why}`);
  });

  it('adds sysctls of the attachment, which take the place of those of the network under any name', () => {
    const sysctl = { 'net.ipv4.conf.IFNAME.arp_filter': '1', 'net.core.somaxconn': '5' };
    const own = { 'net/ipv4/conf/net1/arp_filter': '0', 'net.core.optmem_max': '7' };
    expect(sysctlsOf({ sysctl, args: { cni: { sysctl: own } } })).toEqual([
      'net/core/somaxconn=5',
      'net/ipv4/conf/net1/arp_filter=0',
      'net/core/optmem_max=7',
    ]);
    expect(sysctlsOf({ args: { cni: { sysctl: { 'net.core.somaxconn': '5' } } } })).toEqual(['net/core/somaxconn=5']);
  });

  it('takes a sysctl that is there twice once, and refuses it with two values', () => {
    const twice = (value: string) => ({ sysctl: { 'net.core.somaxconn': '5', 'net/core/somaxconn': value } });
    expect(sysctlsOf(twice('5'))).toEqual(['net/core/somaxconn=5']);
    expect(() => wishes(twice('6'))).toThrow(
      'cannot use "sysctl" "net/core/somaxconn": "net.core.somaxconn" is the same one, and shall be "5"',
    );
  });

  it.each([
    [{ 'net.a': '' }, 'its value is empty'],
    [{ 'net.a': 'x\0y' }, 'its value has a NUL in it'],
    [{ 'kernel.x': '1' }, 'is not the name of a sysctl below "net"'],
    [{ 'net/../x': '1' }, 'leads elsewhere'],
  ])('refuses sysctls %j: %s', (sysctl, why) => {
    expect(() => wishes({ sysctl })).toThrow(why);
  });
});
