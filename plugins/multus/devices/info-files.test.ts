import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { removeDeviceInfoFile, withDeviceInfoFile } from '../device-info.ts';
import { placeDeviceInfo, readDeviceInfo } from './info-files.ts';

const DEVICE = { resource: 'intel.com/x', id: '0000:01:10.0' };
const ARGS = withDeviceInfoFile({ deviceID: DEVICE.id }, { name: 'demo/lan', containerId: 'c1', ifName: 'net1' });
const SOURCE = 'var/run/k8s.cni.cncf.io/devinfo/dp/intel.com-x-0000:01:10.0-device.json';
const TARGET = 'var/run/k8s.cni.cncf.io/devinfo/cni/demo-lan-c1_net1';
/** As a device plugin writes it. */
const INFO = '{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:01:10.0","rdma-device":"mlx5_2"}}';

/** A node's files, and what is logged. */
function node(files: Readonly<Record<string, string>> = {}) {
  const folder = temporaryFolder();
  const at = (path: string): string => join(folder.path, path);
  const lines: string[] = [];
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), content);
  }
  const log = { warn: (text: string) => void lines.push(text), debug: (text: () => string) => void lines.push(text()) };
  return {
    at,
    lines,
    place: (args = ARGS, device = DEVICE) => placeDeviceInfo(args, device, log, folder.path),
    read: (args = ARGS) => readDeviceInfo(args, log, folder.path),
    remove: (args = ARGS) => removeDeviceInfoFile(args, folder.path),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

describe('device information', () => {
  it('is copied for the plugins, read for the status, and removed', () => {
    using on = node({ [SOURCE]: INFO });
    on.place();
    expect(readFileSync(on.at(TARGET), 'utf8')).toBe(INFO);
    expect(statSync(on.at(TARGET)).mode & 0o777).toBe(0o444);
    expect(statSync(dirname(on.at(TARGET))).mode & 0o777).toBe(0o755 & ~process.umask());
    expect(JSON.stringify(on.read())).toBe(INFO);
    on.remove();
    on.remove();
    expect(readdirSync(dirname(on.at(TARGET)))).toEqual([]);
    expect(existsSync(on.at(SOURCE))).toBe(true);
    expect(on.lines).toEqual([]);
  });

  it('takes the place of what an earlier attachment has left', () => {
    using on = node({ [SOURCE]: INFO, [TARGET]: 'old' });
    on.place();
    expect(readFileSync(on.at(TARGET), 'utf8')).toBe(INFO);
    using bare = node({ [TARGET]: 'old' });
    bare.place();
    expect(existsSync(bare.at(TARGET))).toBe(false);
    expect(bare.lines).toEqual([expect.stringMatching(/^cannot copy device information ".*": ENOENT/)]);
  });

  it('goes nowhere that we have not named, nor comes from elsewhere than device plugins write', () => {
    using on = node({ [SOURCE]: INFO, given: 'kept', secret: '{"type":"secret"}' });
    for (const path of ['/given', '/var/run/k8s.cni.cncf.io/devinfo/cni/../given', undefined, 7]) {
      const args = { deviceID: DEVICE.id, ...(path === undefined ? {} : { CNIDeviceInfoFile: path }) };
      on.place(args);
      on.remove(args);
      expect(on.read(args)).toBeUndefined();
    }
    expect(readFileSync(on.at('given'), 'utf8')).toBe('kept');
    on.place(ARGS, { resource: '../../../../../secret', id: '..' });
    expect(existsSync(on.at(TARGET))).toBe(false);
  });

  it('is not waited for', () => {
    using on = node({ [join(dirname(SOURCE), 'x')]: '' });
    execFileSync('mkfifo', [on.at(SOURCE)]);
    on.place();
    expect(on.lines).toEqual([expect.stringContaining('it is not a file')]);
  });

  it('has an end', () => {
    using on = node({ [SOURCE]: 'x'.repeat(16 * 1024 + 1), [TARGET]: `{"type":"${'x'.repeat(16 * 1024)}"}` });
    expect(on.read()).toBeUndefined();
    on.place();
    expect(on.lines.map((line) => / (it is longer .*)$/.exec(line)?.[1])).toEqual([
      'it is longer than 16384 bytes',
      'it is longer than 16384 bytes',
    ]);
  });

  it('is nothing where there is no file', () => {
    using on = node();
    expect(on.read()).toBeUndefined();
    expect(on.lines).toEqual([]);
  });

  it.each([
    ['', 'Unexpected end of JSON input'],
    ['{"type":', 'JSON'],
    ['[]', 'it is not an object'],
    ['{"type":1}', '"type" is not a string'],
    ['{"pci":[]}', '"pci" is not an object'],
    ['{"vhost-user":{"path":{}}}', '"vhost-user.path" is not a string'],
  ])('is only logged about when it is %j', (content, why) => {
    using on = node({ [TARGET]: content });
    expect(on.read()).toBeUndefined();
    expect(on.lines).toEqual([expect.stringContaining(why)]);
    expect(on.lines[0]).toMatch(/^cannot use device information "\/var\/run\/.*\/demo-lan-c1_net1": /);
  });

  it.each([
    [
      '{"VERSION":"1.1.0","type":"memif","memif":{"mode":"ip","path":"/m","role":"server"}}',
      '{"type":"memif","version":"1.1.0","memif":{"role":"server","path":"/m","mode":"ip"}}',
    ],
    [
      '{"vdpa":{"path":"/dev/vhost-vdpa-0","driver":"vhost","parent-device":"vdpa0","pci-address":""},"type":"vdpa"}',
      '{"type":"vdpa","vdpa":{"parent-device":"vdpa0","driver":"vhost","path":"/dev/vhost-vdpa-0"}}',
    ],
    ['{"pci":null,"vhost-user":{},"type":null,"more":{"a":1}}', '{"vhost-user":{}}'],
  ])('has what the specification knows, in its order: %s', (content, text) => {
    using on = node({ [TARGET]: content });
    expect(JSON.stringify(on.read())).toBe(text);
  });
});
