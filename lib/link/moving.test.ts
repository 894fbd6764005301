import { describe, expect, it } from 'vitest';
import { mac } from '../testing/mac.ts';
import type { DeviceFacts } from './device.ts';
import { findSame, isSameDevice } from './moving.ts';

const NONE = Buffer.alloc(0);
const device = (facts: Partial<DeviceFacts>): DeviceFacts => ({
  index: 7,
  name: 'eth7',
  mac: mac('02:00:00:00:00:07'),
  mtu: 1500,
  isUp: false,
  isRunning: false,
  kind: '',
  parentIndex: undefined,
  masterIndex: undefined,
  slaveKind: '',
  altNames: [],
  alias: '',
  permanentMac: '',
  parentDev: '',
  flags: 0,
  txQueueLength: 1000,
  group: 0,
  inetConf: NONE,
  inet6Conf: NONE,
  ...facts,
});

const PORT = { parentDev: '0000:65:00.0', permanentMac: mac('52:54:00:00:00:01') };

describe('the identity of a device', () => {
  it('is its place on the bus and its burnt-in address, whatever it is called', () => {
    expect(isSameDevice(device(PORT), device({ ...PORT, index: 9, name: 'net1', mac: mac('02:00:00:00:00:99') }))).toBe(
      true,
    );
    expect(isSameDevice(device(PORT), device({ ...PORT, permanentMac: mac('52:54:00:00:00:02') }))).toBe(false);
    expect(isSameDevice(device(PORT), device({ ...PORT, parentDev: '0000:65:00.1' }))).toBe(false);
  });

  it('is kind and address of a virtual one', () => {
    expect(isSameDevice(device({ kind: 'veth' }), device({ kind: 'veth', name: 'net1' }))).toBe(true);
    expect(isSameDevice(device({ kind: 'veth' }), device({ kind: 'bridge' }))).toBe(false);
    expect(isSameDevice(device({ kind: 'tun', mac: '' }), device({ kind: 'tun', mac: '', name: 'tun1' }))).toBe(false);
  });
});

describe('findSame', () => {
  const reset = device({ ...PORT, permanentMac: mac('52:54:00:00:00:aa'), name: 'net1' });

  it('takes the only device at the place for it when a reset has changed its address', () => {
    expect(findSame([device({}), reset], device(PORT))).toBe(reset);
  });

  it('takes none of two ports at one place', () => {
    const other = device({ ...PORT, permanentMac: mac('52:54:00:00:00:bb'), name: 'net2' });
    expect(findSame([reset, other], device(PORT))).toBeUndefined();
  });

  it('takes none for a virtual link that is not there', () => {
    expect(
      findSame([device({ kind: 'veth', mac: mac('02:00:00:00:00:01') })], device({ kind: 'veth' })),
    ).toBeUndefined();
  });
});
