import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { discover } from './discovery.ts';
import { readSriovConfig } from './sriov/config.ts';
import { SriovPool } from './sriov/resource.ts';
import { assign } from './sriov/select.ts';
import { makeSampleNode, sampleKernel } from './testing/sample-node.ts';

function poolOf(root: string, resource: object): SriovPool {
  makeSampleNode(root);
  const resources = readSriovConfig(JSON.stringify({ resourceList: [resource] }), 'intel.com');
  const [pool] = assign(resources, discover(join(root, 'sys'), sampleKernel()).devices);
  return new SriovPool(pool ?? expect.fail('no pool'), { root, useCdi: true });
}

describe('a resource that the runtime adds files for', () => {
  it('has them in a file before the kubelet hears of it, and names devices to it', async () => {
    using folder = temporaryFolder();
    const pool = poolOf(folder.path, {
      resourceName: 'igb_dpdk',
      resourcePrefix: 'braid.example.com',
      selectors: { pfNames: ['eth0#2-3'], needVhostNet: true },
    });
    const path = join(folder.path, 'var/run/cdi/sriov-dp-braid.example.com-net-pci-igb_dpdk.yaml');
    const device = (id: string, group: number) => ({
      name: id,
      containerEdits: {
        deviceNodes: ['/dev/vfio/vfio', `/dev/vfio/${group}`, '/dev/vhost-net', '/dev/net/tun'].map((one) => ({
          path: one,
          hostPath: one,
          permissions: 'rw',
        })),
      },
    });
    expect(load(readFileSync(path, 'utf8'))).toEqual({
      cdiVersion: '0.5.0',
      kind: 'braid.example.com/net-pci',
      devices: [device('0000:01:10.4', 12), device('0000:01:10.6', 13)],
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileSync(path, 'stale');
    const names = ['0000:01:10.4', '0000:01:10.6'].map((id) => `braid.example.com/net-pci=${id}`);
    expect(await pool.allocate(['0000:01:10.4', '0000:01:10.6'])).toMatchObject({
      devices: [],
      annotations: { 'cdi.k8s.io/braid.example.com_net-pci_igb_dpdk': names.join(',') },
      cdiDevices: names.map((name) => ({ name })),
    });
    expect(readFileSync(path, 'utf8')).not.toBe('stale');
  });

  it('is offered without a file when its devices have none', async () => {
    using folder = temporaryFolder();
    const pool = poolOf(folder.path, { resourceName: 'vf', selectors: { drivers: ['igbvf'] } });
    expect(pool.devices.value).toHaveLength(2);
    expect(existsSync(join(folder.path, 'var/run/cdi'))).toBe(false);
    expect(await pool.allocate(['0000:01:10.0'])).toMatchObject({ annotations: {}, cdiDevices: [] });
  });
});
