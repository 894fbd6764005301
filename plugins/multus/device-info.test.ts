import { describe, expect, it } from 'vitest';
import { withDeviceInfoFile } from './device-info.ts';

describe('withDeviceInfoFile', () => {
  const where = { name: 'demo/sriov', containerId: 'c1', ifName: 'net1' };
  it('names a file for an attachment with a device, whatever was named before', () => {
    expect(withDeviceInfoFile({ deviceID: '0000:01:00.1', CNIDeviceInfoFile: '/given' }, where)).toEqual({
      deviceID: '0000:01:00.1',
      CNIDeviceInfoFile: '/var/run/k8s.cni.cncf.io/devinfo/cni/demo-sriov-c1_net1',
    });
  });
  it('leaves one without a device as it is', () => {
    expect(withDeviceInfoFile({ CNIDeviceInfoFile: '/given' }, where)).toEqual({ CNIDeviceInfoFile: '/given' });
  });
});
