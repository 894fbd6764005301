import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { heldBefore } from './checkpoint.ts';

function heldBy(content: string) {
  using folder = temporaryFolder();
  mkdirSync(join(folder.path, 'device-plugins'));
  writeFileSync(join(folder.path, 'device-plugins/kubelet_internal_checkpoint'), content);
  return Object.fromEntries([...heldBefore(folder.path)].map(([name, ids]) => [name, [...ids].sort()]));
}

const entry = (ResourceName: string, DeviceIDs: object) => ({
  PodUID: 'a',
  ContainerName: 'b',
  ResourceName,
  DeviceIDs,
});
const text = (...PodDeviceEntries: readonly object[]): string =>
  JSON.stringify({ Data: { PodDeviceEntries, RegisteredDevices: { 'example.com/vf': ['1'] } }, Checksum: 1 });

describe('what a kubelet has written down', () => {
  it('is which devices containers had, on all NUMA nodes', () => {
    const written = text(
      entry('example.com/vf', { '0': ['1'], '1': ['2'] }),
      entry('example.com/vf', { '-1': ['3'] }),
      entry('rdma/hca', { '-1': ['0'] }),
    );
    expect(heldBy(written)).toEqual({ 'example.com/vf': ['1', '2', '3'], 'rdma/hca': ['0'] });
  });

  it.each(['', '{', 'null', '{"Data":{}}', '{"Data":{"PodDeviceEntries":null}}', text({ ResourceName: 1 })])(
    'is nothing when it cannot be read: %j',
    (content) => {
      expect(heldBy(content)).toEqual({});
    },
  );

  it('is nothing when there is nothing', () => {
    expect(heldBefore('/nowhere')).toEqual(new Map());
  });
});
