import { describe, expect, it } from 'vitest';
import { readConf } from '../../lib/cni/config.ts';
import type { LinkFacts } from '../../lib/link/observe.ts';
import { mac } from '../../lib/testing/mac.ts';
import { MacvlanConf } from './config.ts';
import { parentFault, planMacvlan, wantedMacOf } from './plan.ts';

const address = mac('02:00:00:00:00:01');
const parent = { index: 3, name: 'eth0', mac: address, mtu: 9000, slaveKind: '' } as Partial<LinkFacts> as LinkFacts;
const plan = (conf: object, wantedMac = '') =>
  planMacvlan(readConf(MacvlanConf, conf as never), 'net1', parent, {
    wantedMac,
    freeMac: () => mac('02:00:00:00:00:aa'),
  });

describe('planMacvlan', () => {
  it("takes the parent's MTU when none is asked for", () => {
    expect(plan({}).mtu).toBeUndefined();
    expect(plan({ mtu: 0 }).mtu).toBeUndefined();
    expect(plan({ mtu: 9000 }).mtu).toBe(9000);
  });
  it("refuses an MTU above the parent's", () => {
    expect(() => plan({ mtu: 9001 })).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringContaining('9001') }),
    );
  });
  it('makes a hardware address, but not in passthru mode, where it would become that of the parent', () => {
    expect(plan({}).mac).toBe('02:00:00:00:00:aa');
    expect(plan({ mode: 'passthru' }).mac).toBeUndefined();
    expect(plan({ mode: 'passthru' }, '02:00:00:00:00:bb').mac).toBe('02:00:00:00:00:bb');
  });
  it.each(['AA-BB-CC-DD-EE-02', 'aabb.ccdd.ee02', 'aabbccddee02'])('reads the hardware address %s', (mac) => {
    expect(plan({}, mac).mac).toBe('aa:bb:cc:dd:ee:02');
  });
  it.each([
    ['aa:bb:cc:dd:ee', 'not an Ethernet address'],
    ['02:00:5e:10:00:00:00:01', 'not an Ethernet address'],
    ['01:00:5e:00:00:01', 'multicast'],
  ])('refuses the hardware address %s', (mac, message) => {
    expect(() => plan({}, mac)).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringContaining(message) }),
    );
  });
});

describe('wantedMacOf', () => {
  const conf = (value: object) => readConf(MacvlanConf, value as never);
  it("takes the runtime's, then CNI_ARGS', then the configuration's", () => {
    const MAC = '02:00:00:00:00:0a';
    expect(wantedMacOf(conf({ mac: 'c', runtimeConfig: { mac: 'r' } }), { MAC: 'zz' })).toBe('r');
    expect(wantedMacOf(conf({ mac: 'c' }), { MAC })).toBe(MAC);
    expect(wantedMacOf(conf({ mac: 'c' }), { MAC: '' })).toBe('c');
    expect(wantedMacOf(conf({ mac: 'c' }), {})).toBe('c');
  });

  it.each(['zz', '02:00:00:00:00', '01:00:5e:00:00:01', '00:00:00:00:00:00'])('blames CNI_ARGS for MAC=%s', (MAC) => {
    expect(() => wantedMacOf(conf({ mac: '02:00:00:00:00:0a' }), { MAC })).toThrow(
      expect.objectContaining({
        code: 4,
        message: expect.stringContaining(`cannot use MAC of CNI_ARGS: "${MAC}" is not`),
      }),
    );
  });
});

describe('parentFault', () => {
  it('names what the parent is enslaved to', () => {
    expect(parentFault({ ...parent, masterIndex: 9, slaveKind: 'bridge' })).toBe('is enslaved to a bridge');
    expect(parentFault({ ...parent, masterIndex: 9, slaveKind: 'vrf' })).toBeUndefined();
    expect(parentFault(parent)).toBeUndefined();
  });
});
