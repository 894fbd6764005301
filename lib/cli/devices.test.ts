import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { discover } from '../devices/discovery.ts';
import { makeSampleNode, sampleKernel } from '../devices/testing/sample-node.ts';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { deviceTable, type Known, sharedRows, sriovRows } from './devices.ts';

function knownAt(root: string, more: Partial<Known> = {}): Known {
  makeSampleNode(root);
  const kernel = sampleKernel({ links: new Map([['eth0', { isUp: true, hasCarrier: false }]]) });
  return { root, kernel, devices: discover(join(root, 'sys'), kernel).devices, holders: [], ...more };
}

const HOLDER = { namespace: 'a', pod: 'web', container: 'main' };

describe('braid devices', () => {
  it('shows devices with their health and who has them', () => {
    using folder = temporaryFolder();
    const holders = [{ ...HOLDER, resource: 'intel.com/vf', ids: ['0000:01:10.2'] }];
    const config = { resourceName: 'vf', selectors: { drivers: ['igbvf'] }, health: { link: true } };
    const rows = sriovRows(JSON.stringify({ resourceList: [config] }), 'intel.com', knownAt(folder.path, { holders }));
    expect(rows).toEqual(
      [0, 1].map((number) => ({
        resource: 'intel.com/vf',
        device: `0000:01:10.${number * 2}`,
        driver: 'igbvf',
        interface: `eth0v${number}`,
        numaNode: 0,
        ailment: 'link "eth0" has no carrier',
        holders: number === 1 ? ['a/web main'] : [],
      })),
    );
    expect(deviceTable(rows).at(-1)).toBe('2 devices, 1 held');
  });

  it('shows what a container has and the node has no more', () => {
    using folder = temporaryFolder();
    const holders = [{ ...HOLDER, resource: 'intel.com/vf', ids: ['0000:01:10.1'] }];
    const config = { resourceName: 'vf', selectors: { drivers: ['igbvf'] } };
    const rows = sriovRows(JSON.stringify({ resourceList: [config] }), 'intel.com', knownAt(folder.path, { holders }));
    expect(rows.map(({ device, ailment, holders: own }) => [device, ailment, own])).toEqual([
      ['0000:01:10.0', '', []],
      ['0000:01:10.1', 'it has gone', ['a/web main']],
      ['0000:01:10.2', '', []],
    ]);
  });

  it('shows who shares RDMA devices', () => {
    using folder = temporaryFolder();
    const holders = [{ ...HOLDER, resource: 'rdma/hca', ids: ['4'] }];
    const config = { configList: [{ resourceName: 'hca', rdmaHcaMax: 9, devices: ['ens3v0'] }] };
    expect(sharedRows(JSON.stringify(config), knownAt(folder.path, { holders }))).toMatchObject([
      { resource: 'rdma/hca', device: '0000:03:00.1', holders: ['a/web main'] },
    ]);
  });

  it('says when there is nothing', () => {
    expect(deviceTable([])).toEqual(['no resource has a device']);
  });
});
