import { describe, expect, it } from 'vitest';
import { readConf } from '../../lib/cni/config.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { SriovConf } from './config.ts';
import { deviceIdOf, planSriov, wantedMacOf } from './plan.ts';

const conf = (value: JsonObject): SriovConf => readConf(SriovConf, value);
const plan = (value: JsonObject, mac = '') => planSriov(conf(value), mac);
const refused = (message: string) => expect.objectContaining({ code: 7, message: expect.stringContaining(message) });

describe('planSriov', () => {
  it('asks for nothing when nothing is given', () => {
    const nothing = { changes: {}, mac: undefined, mtu: undefined };
    expect(plan({})).toEqual(nothing);
    const absent = { vlan: null, vlanQoS: null, vlanProto: '', spoofchk: '', trust: null, link_state: '', mtu: 0 };
    expect(plan({ ...absent, min_tx_rate: null, mac: '' })).toEqual(nothing);
  });

  it.each<[JsonObject, object]>([
    [{ vlan: 0 }, { id: 0, qos: 0, protocol: '802.1q' }],
    [{ vlan: 100 }, { id: 100, qos: 0, protocol: '802.1q' }],
    [
      { vlan: 4094, vlanQoS: 7, vlanProto: '802.1AD' },
      { id: 4094, qos: 7, protocol: '802.1ad' },
    ],
    [
      { VLAN: 1, vlanqos: 0, vlanproto: '802.1Q' },
      { id: 1, qos: 0, protocol: '802.1q' },
    ],
  ])('reads %j', (value, vlan) => {
    expect(plan(value).changes).toEqual({ vlan });
  });

  it.each<[JsonObject, string]>([
    [{ vlan: 4095 }, 'cannot use "vlan": 4095 is not at most 4094'],
    [{ vlan: -1 }, 'cannot use "vlan": -1 is not at least 0'],
    [{ vlan: '5' }, 'cannot use "vlan": "5" is not a whole number'],
    [{ vlan: '' }, 'cannot use "vlan": "" is not a whole number'],
    [{ vlan: 5, vlanQoS: 8 }, 'cannot use "vlanQoS": 8 is not at most 7'],
    [{ vlanQoS: 0 }, 'cannot use "vlanQoS": it needs "vlan"'],
    [{ vlanProto: '802.1q' }, 'cannot use "vlanProto": it needs "vlan"'],
    [{ vlan: 0, vlanQoS: 3 }, '"vlan" 0 has no tag'],
    [{ vlan: 0, vlanProto: '802.1ad' }, '"vlan" 0 has no tag'],
    [{ vlan: 5, vlanProto: 'qinq' }, 'cannot use "vlanProto" "qinq"'],
    [{ link_state: 'up' }, 'cannot use "link_state": "up" is not one of "auto", "enable", "disable"'],
    [{ spoofchk: 'On' }, 'cannot use "spoofchk": "On" is not one of "on", "off"'],
    [{ trust: 'true' }, 'cannot use "trust": "true" is not one of "on", "off"'],
    [{ trust: true }, 'cannot use "trust": true is not one of'],
    [{ min_tx_rate: -1 }, 'cannot use "min_tx_rate": -1 is not at least 0'],
    [{ min_tx_rate: 200, max_tx_rate: 100 }, 'cannot use "min_tx_rate" 200: it is more than "max_tx_rate" 100'],
    [{ mtu: 40 }, 'cannot use "mtu" 40: it is less than 68'],
    [{ mtu: '9000' }, 'cannot use "mtu": "9000" is not a whole number'],
  ])('refuses %j', { tags: 'sriov/rates' }, (value, message) => {
    expect(() => plan(value)).toThrow(refused(message));
  });

  it('sends both rates when one is given', () => {
    expect(plan({ max_tx_rate: 100 }).changes).toEqual({ rate: { min: 0, max: 100 } });
    expect(plan({ min_tx_rate: 100 }).changes).toEqual({ rate: { min: 100, max: 0 } });
    expect(plan({ min_tx_rate: 100, max_tx_rate: 0 }).changes).toEqual({ rate: { min: 100, max: 0 } });
  });

  it('reads words', { tags: 'sriov/words' }, () => {
    expect(plan({ spoofchk: 'off', trust: 'on', link_state: 'auto' }).changes).toEqual({
      spoofCheck: false,
      trust: true,
      linkState: 'auto',
    });
  });

  it.each(['02-AA-00-00-00-07', '02aa.0000.0007', '02AA00000007', '02:aa:00:00:00:07'])(
    'reads the hardware address %s',
    (mac) => {
      expect(plan({}, mac)).toMatchObject({ mac: '02:aa:00:00:00:07', changes: { mac: '02:aa:00:00:00:07' } });
    },
  );

  it.each([
    ['01:00:5e:00:00:01', 'multicast'],
    ['00:00:00:00:00:00', 'it is all zero'],
    ['02:00:00:00:00:00:00:01', 'not an Ethernet address'],
    ['rubbish', 'not an Ethernet address'],
  ])('refuses the hardware address %s', { tags: 'sriov/mac-form' }, (mac, message) => {
    expect(() => plan({}, mac)).toThrow(refused(message));
  });
});

describe('wantedMacOf', () => {
  it("takes the runtime's, then CNI_ARGS', then the configuration's", () => {
    expect(wantedMacOf(conf({ mac: 'c', runtimeConfig: { mac: 'r' } }), { MAC: 'zz' })).toBe('r');
    const MAC = '02:00:00:00:00:0a';
    expect(wantedMacOf(conf({ mac: 'c', RuntimeConfig: { Mac: '' } }), { MAC })).toBe(MAC);
    expect(wantedMacOf(conf({ mac: 'c' }), {})).toBe('c');
  });

  it('blames CNI_ARGS for a wrong address', () => {
    expect(() => wantedMacOf(conf({}), { MAC: 'zz' })).toThrow(
      expect.objectContaining({ code: 4, message: 'cannot use MAC of CNI_ARGS: "zz" is not an Ethernet address' }),
    );
  });
});

describe('deviceIdOf', () => {
  it('takes upper case for lower', { tags: 'sriov/address-form' }, () => {
    expect(deviceIdOf(conf({ deviceID: '0000:0A:10.2' }))).toBe('0000:0a:10.2');
  });

  it.each([
    ['', 'the SR-IOV device plugin passes it through multus'],
    ['..', 'not a PCI address'],
    ['0000:01:10.2/../..', 'not a PCI address'],
    ['mlx5_core.sf.4', 'not a PCI address'],
  ])('refuses %j', (deviceID, message) => {
    expect(() => deviceIdOf(conf({ deviceID }))).toThrow(refused(message));
  });
});
