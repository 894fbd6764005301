import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { DeviceFacts } from '../../lib/link/device.ts';
import { mac } from '../../lib/testing/mac.ts';
import { changesToRestore, type SriovRecord } from './record.ts';
import { copiedKeys, formatRecord, parseRecord } from './record-form.ts';

/** As the Go plugin writes them. */
const PLAIN =
  '{"MAC":"02:aa:00:00:00:07","MTU":1500,"Master":"p1","OrigVfState":{"AdminMAC":"00:00:00:00:00:00","EffectiveMAC":"02:10:00:00:00:01","HostIFName":"p1v3","LinkState":0,"MTU":1500,"MaxTxRate":0,"MinTxRate":0,"SpoofChk":true,"Trust":false,"Vlan":0,"VlanProto":33024,"VlanQoS":0},"VFID":3,"cniVersion":"1.0.0","deviceID":"0000:65:02.3","ipam":{"type":"static"},"max_tx_rate":null,"min_tx_rate":null,"name":"blue","runtimeConfig":{},"trust":"on","type":"sriov","vlan":40,"vlanProto":"802.1q","vlanQoS":0}';
const FULL =
  '{"MAC":"02:aa:00:00:00:08","MTU":9000,"Master":"p1","OrigVfState":{"AdminMAC":"02:00:00:00:00:09","EffectiveMAC":"","HostIFName":"","LinkState":2,"MTU":0,"MaxTxRate":1000,"MinTxRate":10,"SpoofChk":false,"Trust":true,"Vlan":7,"VlanProto":34984,"VlanQoS":5},"VFID":0,"capabilities":{"mac":true},"cniVersion":"0.4.0","deviceID":"0000:65:02.0","dns":{"nameservers":["192.0.2.1"]},"ipam":{},"link_state":"enable","logFile":"/var/log/sriov.log","logLevel":"debug","max_tx_rate":100,"min_tx_rate":null,"name":"red","prevResult":{"cniVersion":"0.4.0","ips":[]},"runtimeConfig":{"mac":"02:aa:00:00:00:08"},"spoofchk":"off","type":"sriov","vlan":null,"vlanProto":null,"vlanQoS":null}';

const plain: SriovRecord = {
  network: 'blue',
  deviceId: '0000:65:02.3',
  pfName: 'p1',
  vfNumber: 3,
  ipamType: 'static',
  mac: mac('02:aa:00:00:00:07'),
  mtu: 1500,
  asked: { mac: mac('02:aa:00:00:00:07'), vlan: { id: 40, qos: 0, protocol: '802.1q' }, trust: true },
  before: {
    vf: {
      mac: mac('00:00:00:00:00:00'),
      vlan: { id: 0, qos: 0, protocol: '802.1q' },
      spoofCheck: true,
      trust: false,
      rate: { min: 0, max: 0 },
      linkState: 'auto',
    },
    name: 'p1v3',
    mac: mac('02:10:00:00:00:01'),
    mtu: 1500,
  },
  conf: { cniVersion: '1.0.0', type: 'sriov', runtimeConfig: {} },
  own: undefined,
};

describe('a record', () => {
  it("has the Go plugin's form, both ways", () => {
    expect(parseRecord(PLAIN)).toEqual(plain);
    expect(formatRecord(plain)).toBe(PLAIN);
    expect(formatRecord(parseRecord(FULL))).toBe(FULL);
  });

  it('is read with all keys', () => {
    expect(parseRecord(FULL)).toMatchObject({
      asked: { rate: { min: 0, max: 100 }, linkState: 'enable', spoofCheck: false, mac: mac('02:aa:00:00:00:08') },
      before: {
        vf: {
          vlan: { id: 7, qos: 5, protocol: '802.1ad' },
          rate: { min: 10, max: 1000 },
          linkState: 'disable',
          spoofCheck: false,
        },
        name: '',
        mac: '',
      },
    });
  });

  it('keeps our part under one key', () => {
    const device: DeviceFacts = {
      ...{ index: 5, name: 'p1v3', mac: mac('02:00:00:00:00:01'), mtu: 1500, isUp: true, isRunning: true, kind: '' },
      ...{ parentIndex: undefined, masterIndex: undefined, slaveKind: '' },
      ...{ altNames: ['enp1s0f0v1'], alias: '', permanentMac: '', parentDev: '0000:65:02.3', flags: 1 },
      ...{ txQueueLength: 1000, group: 0, inetConf: Buffer.from([1, 2]), inet6Conf: Buffer.alloc(0) },
    };
    const namespace = { boot: 'b', inode: '4:7', cookie: 9 };
    const whose = { containerId: 'c1', ifName: 'net1', netns: '/run/netns/a', namespace, incarnation: '77' };
    const own = { phase: 'changing', ...whose, device } as const;
    const text = formatRecord({ ...plain, own });
    expect(parseRecord(text)).toEqual({ ...plain, own });
    const { braid: _, ...others } = JSON.parse(text) as JsonObject;
    expect(JSON.stringify(others)).toBe(PLAIN);
  });

  it.each(['{"format":2,"device":{}}', '{"format":2,"namespace":{"boot":1}}'])(
    'with a part of ours that is damaged cannot be read: %s',
    (braid) => {
      expect(() => parseRecord(PLAIN.replace(/\}$/, `,"braid":${braid}}`))).toThrow('is invalid');
    },
  );

  it("of another version of ours is reduced to the Go plugin's part", () => {
    expect(parseRecord(PLAIN.replace(/\}$/, ',"braid":{"format":9}}')).own).toBeUndefined();
  });

  it('of an old Go plugin has zeros for missing keys', () => {
    const old = '{"OrigVfState":{"HostIFName":"p1v3","AdminMAC":"02:00:00:00:00:09"},"deviceID":"0000:65:02.3"}';
    const record = parseRecord(old);
    expect(record).toMatchObject({ asked: {}, before: { mtu: 0, mac: '', vf: { linkState: 'auto' } }, mtu: undefined });
    expect(changesToRestore(record)).toEqual({ mac: mac('02:00:00:00:00:09') });
  });

  it('of a big-endian node has the protocol swapped', () => {
    const swapped = PLAIN.replace('"VlanProto":33024', '"VlanProto":43144');
    expect(parseRecord(swapped).before.vf.vlan.protocol).toBe('802.1ad');
  });

  it.each(['', '{', 'null', '[]', '{}', '{"deviceID":"0000:65:02.3"}', PLAIN.replace('0000:65:02.3', '../../etc')])(
    'cannot be %j',
    (text) => {
      expect(() => parseRecord(text)).toThrow();
    },
  );
});

describe('changesToRestore', () => {
  it('are those of ADD, and always the administrative address', () => {
    expect(changesToRestore(plain)).toEqual({
      mac: mac('00:00:00:00:00:00'),
      vlan: { id: 0, qos: 0, protocol: '802.1q' },
      trust: false,
    });
    expect(changesToRestore({ ...plain, asked: {} })).toEqual({ mac: mac('00:00:00:00:00:00') });
  });
});

describe('copiedFrom', () => {
  it('leaves out empty values and unknown keys', () => {
    const document = {
      cniVersion: '',
      type: 'sriov',
      dns: {},
      mtu: 1400,
      capabilities: {},
      RuntimeConfig: { Mac: 'x' },
    };
    expect(copiedKeys(document)).toEqual({ type: 'sriov', runtimeConfig: { mac: 'x' } });
  });
});
