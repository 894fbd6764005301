import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { checkpointDevices } from './checkpoint.ts';

/** What a kubelet writes; see the device manager's checkpoint of Kubernetes 1.36. */
const record = (entries: readonly object[]): string =>
  JSON.stringify({
    Data: { PodDeviceEntries: entries, RegisteredDevices: { 'intel.com/x': ['0000:01:10.0'] } },
    Checksum: 2712123211,
  });

const entry = (uid: string, resource: string, ids: unknown, container = 'app'): object => ({
  PodUID: uid,
  ContainerName: container,
  ResourceName: resource,
  DeviceIDs: ids,
  AllocResp: 'CiAKGVBDSURFVklDRQ==',
});

function readRecord(content: string, uid = 'u1'): Readonly<Record<string, readonly string[]>> {
  using folder = temporaryFolder();
  const path = join(folder.path, 'kubelet_internal_checkpoint');
  writeFileSync(path, content);
  return Object.fromEntries(checkpointDevices(path, uid));
}

describe('checkpointDevices', () => {
  it('has the devices of a pod, of all its containers and NUMA nodes, in the order of their ids', () => {
    const content = record([
      entry('u1', 'intel.com/x', { '1': ['0000:81:10.0'], '0': ['0000:01:10.2', '0000:01:10.0'], '-1': null }),
      entry('u2', 'intel.com/x', { '0': ['0000:01:10.4'] }),
      entry('u1', 'intel.com/y', { '-1': ['7'] }),
      entry('u1', 'intel.com/x', { '0': ['0000:01:10.1'] }, 'side'),
    ]);
    expect(readRecord(content)).toEqual({
      'intel.com/x': ['0000:01:10.0', '0000:01:10.1', '0000:01:10.2', '0000:81:10.0'],
      'intel.com/y': ['7'],
    });
  });

  it('counts a device once that an init container has handed to another', () => {
    const content = record(['init', 'app'].map((name) => entry('u1', 'intel.com/x', { '0': ['a', 'b'] }, name)));
    expect(readRecord(content)).toEqual({ 'intel.com/x': ['a', 'b'] });
  });

  it('reads the lists of old kubelets', () => {
    expect(readRecord(record([entry('u1', 'intel.com/x', ['b', 'a']), entry('u1', 'intel.com/y', null)]))).toEqual({
      'intel.com/x': ['a', 'b'],
      'intel.com/y': [],
    });
  });

  it.each([record([]), record([entry('u2', 'x', { '0': ['a'] })]), '{"Data":{"PodDeviceEntries":null}}'])(
    'has nothing for a pod that is not in %s',
    (content) => {
      expect(readRecord(content)).toEqual({});
    },
  );

  it.each([
    ['', 'Unexpected end of JSON input'],
    ['{"Data":{"PodDev', 'JSON'],
    ['[]', 'it has no "Data"'],
    ['{}', 'it has no "Data"'],
    ['{"Data":{"PodDeviceEntries":{}}}', 'is not a list of objects'],
    ['{"Data":{"PodDeviceEntries":[null]}}', 'is not a list of objects'],
    [record([entry('u1', 'x', { '0': 'a' })]), '"DeviceIDs" of a pod are not lists of texts'],
    [record([entry('u1', 'x', { '0': [1] })]), '"DeviceIDs" of a pod are not lists of texts'],
    [record([entry('u1', 'x', 'a')]), '"DeviceIDs" of a pod are not lists of texts'],
  ])('refuses %s', (content, why) => {
    expect(() => readRecord(content)).toThrow(why);
    expect(() => readRecord(content)).toThrow(/^cannot use ".*kubelet_internal_checkpoint": /);
  });

  it('names the file that is missing or cannot be read, and refuses a pod without a UID', () => {
    using folder = temporaryFolder();
    expect(() => checkpointDevices(join(folder.path, 'no'), 'u1')).toThrow(/^cannot read ".*\/no": ENOENT /);
    mkdirSync(join(folder.path, 'folder'));
    expect(() => checkpointDevices(join(folder.path, 'folder'), 'u1')).toThrow('EISDIR');
    expect(() => checkpointDevices('/nowhere', '')).toThrow('the pod has no UID');
  });
});
