/** What the Go device plugin answers on the same node, but for its faults. */
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { discover } from '../discovery.ts';
import type { KernelFacts } from '../facts.ts';
import { makeSampleNode, sampleKernel } from '../testing/sample-node.ts';
import { allocate } from './allocate.ts';
import { readSriovConfig } from './config.ts';
import { machineAt } from './container-parts.ts';
import { assign, type Pool } from './select.ts';

interface Asked {
  readonly ids?: readonly string[];
  readonly kernel?: Partial<KernelFacts>;
}

/** The last of some resources: its devices, and what a container gets with some of them. */
function answer(resources: readonly object[], { ids, kernel }: Asked = {}) {
  using folder = temporaryFolder();
  makeSampleNode(folder.path);
  const { devices, faults } = discover(`${folder.path}/sys`, sampleKernel(kernel));
  expect(faults).toEqual([]);
  const pools = assign(readSriovConfig(JSON.stringify({ resourceList: resources }), 'intel.com'), devices);
  const pool = pools.at(-1) as Pool;
  const listed = [...pool.devices.values()].map(({ facts }) => facts);
  const { envs, files } = allocate(machineAt(folder.path), pool, ids ?? [...pool.devices.keys()]);
  return {
    listed: listed.map(({ id }) => id),
    numa: listed.map(({ numaNode }) => numaNode),
    envs,
    files: files.map(({ hostPath }) => hostPath),
  };
}

const KERNEL_VFS = {
  resourceName: 'igb_kernel',
  selectors: [{ vendors: ['8086'], devices: ['10ca'], drivers: ['igbvf'] }],
};

describe('SR-IOV resources', () => {
  it('are VFs with interfaces, told in the order asked for', () => {
    expect(answer([KERNEL_VFS], { ids: ['0000:01:10.2', '0000:01:10.0'] })).toEqual({
      listed: ['0000:01:10.0', '0000:01:10.2'],
      numa: [0, 0],
      envs: {
        PCIDEVICE_INTEL_COM_IGB_KERNEL: '0000:01:10.2,0000:01:10.0',
        PCIDEVICE_INTEL_COM_IGB_KERNEL_INFO:
          '{"0000:01:10.0":{"generic":{"deviceID":"0000:01:10.0"}},"0000:01:10.2":{"generic":{"deviceID":"0000:01:10.2"}}}',
      },
      files: [],
    });
  });

  it('are VFs for DPDK with their device files; those of an earlier resource are not among them', () => {
    const resource = {
      resourceName: 'igb_dpdk',
      resourcePrefix: 'braid.example.com',
      selectors: { pfNames: ['eth0#0,2-3'], NeedVhostNet: true },
    };
    const { listed, envs, files } = answer([KERNEL_VFS, resource], { ids: ['0000:01:10.6', '0000:01:10.4'] });
    expect(listed).toEqual(['0000:01:10.4', '0000:01:10.6']);
    expect(envs).toEqual({
      PCIDEVICE_BRAID_EXAMPLE_COM_IGB_DPDK: '0000:01:10.6,0000:01:10.4',
      PCIDEVICE_BRAID_EXAMPLE_COM_IGB_DPDK_INFO:
        '{"0000:01:10.4":{"generic":{"deviceID":"0000:01:10.4"},"vfio":{"dev-mount":"/dev/vfio/12","mount":"/dev/vfio/vfio"},"vhost":{"net-mount":"/dev/vhost-net","tun-mount":"/dev/net/tun"}},"0000:01:10.6":{"generic":{"deviceID":"0000:01:10.6"},"vfio":{"dev-mount":"/dev/vfio/13","mount":"/dev/vfio/vfio"},"vhost":{"net-mount":"/dev/vhost-net","tun-mount":"/dev/net/tun"}}}',
    });
    expect(files).toEqual(['/dev/vfio/vfio', '/dev/vfio/13', '/dev/vhost-net', '/dev/net/tun', '/dev/vfio/12']);
  });

  it('are VFs with RDMA, each file once, and what the administrator adds', () => {
    const resource = {
      resourceName: 'rdma_vf',
      resourcePrefix: 'nvidia.com',
      selectors: [{ rootDevices: ['0000:03:00.0#0-1'], IsRdma: true }],
      additionalInfo: { '*': { token: 'a<b' }, '0000:03:00.2': { token: 'c', x: '1' } },
    };
    const { numa, envs, files } = answer([resource]);
    expect(numa).toEqual([1, 1]);
    const rdma = (number: number, at: number): string =>
      `"rdma":{"issm":"/dev/infiniband/issm${number}","rdma_cm":"/dev/infiniband/rdma_cm","rdma_dev":"mlx5_${at}","umad":"/dev/infiniband/umad${number}","uverbs":"/dev/infiniband/uverbs${number}"}`;
    expect(envs['PCIDEVICE_NVIDIA_COM_RDMA_VF_INFO']).toBe(
      `{"0000:03:00.1":{"extra":{"token":"a\\u003cb"},"generic":{"deviceID":"0000:03:00.1"},${rdma(2, 2)}},"0000:03:00.2":{"extra":{"token":"c","x":"1"},"generic":{"deviceID":"0000:03:00.2"},${rdma(3, 3)}}}`,
    );
    expect(files).toEqual(
      ['issm2', 'umad2', 'uverbs2', 'rdma_cm', 'issm3', 'umad3', 'uverbs3'].map((name) => `/dev/infiniband/${name}`),
    );
  });

  it('are whole cards, but none with VFs of its own, and not the one that the node talks through', () => {
    const selectors = [{ pciAddresses: ['0000:02:00.0', '0000:07:00.0', '0000:01:00.0'] }];
    expect(answer([{ resourceName: 'whole_pf', excludeTopology: true, selectors }]).listed).toEqual(['0000:02:00.0']);
    expect(answer([{ resourceName: 'all', selectors: {} }]).listed).toHaveLength(9);
  });

  it('are accelerators', () => {
    const { listed, envs, files } = answer([
      { resourceName: 'fpga', deviceType: 'accelerator', selectors: [{ vendors: ['8086'] }] },
    ]);
    expect(listed).toEqual(['0000:05:00.0']);
    expect(envs['PCIDEVICE_INTEL_COM_FPGA_INFO']).toBe(
      '{"0000:05:00.0":{"generic":{"deviceID":"0000:05:00.0"},"vfio":{"dev-mount":"/dev/vfio/20","mount":"/dev/vfio/vfio"}}}',
    );
    expect(files).toEqual(['/dev/vfio/vfio', '/dev/vfio/20']);
  });

  it('are cards with the older driver for userspace, whose file is told at the first time already', () => {
    const { numa, envs, files } = answer([{ resourceName: 'uio', selectors: [{ drivers: ['igb_uio'] }] }]);
    expect([numa, files]).toEqual([[undefined], ['/dev/uio0']]);
    expect(envs['PCIDEVICE_INTEL_COM_UIO_INFO']).toBe(
      '{"0000:06:00.0":{"generic":{"deviceID":"0000:06:00.0"},"uio":{"mount":"/dev/uio0"}}}',
    );
  });

  it('are scalable functions', () => {
    const { listed, numa, envs, files } = answer([
      {
        resourceName: 'sf',
        deviceType: 'auxNetDevice',
        selectors: [{ auxTypes: ['sf'], pfNames: ['ens4np0#80-90'] }],
      },
    ]);
    expect([listed, numa, files]).toEqual([['mlx5_core.sf.4'], [1], []]);
    expect(envs['PCIDEVICE_INTEL_COM_SF']).toBe('mlx5_core.sf.4');
  });

  it('are vDPA devices', () => {
    const vdpa = new Map([['0000:03:00.1', { name: 'vdpa0', type: 'vhost' as const, node: 'vhost-vdpa-0' }]]);
    const { listed, envs, files } = answer([{ resourceName: 'v', selectors: { vdpaType: 'vhost' } }], {
      kernel: { vdpa },
    });
    expect([listed, files]).toEqual([['0000:03:00.1'], ['/dev/vhost-vdpa-0']]);
    expect(envs['PCIDEVICE_INTEL_COM_V_INFO']).toBe(
      '{"0000:03:00.1":{"generic":{"deviceID":"0000:03:00.1"},"vdpa":{"mount":"/dev/vhost-vdpa-0"}}}',
    );
  });

  it.each([
    [{ pfNames: ['eth0#0', 'eth0#1'] }, 2],
    [{ pfNames: ['ETH0#0'] }, 1],
    [{ pfNames: ['eth1'] }, 0],
    [{ vendors: ['15B3'] }, 0],
    [{ linkTypes: ['ether'], drivers: ['vfio-pci'] }, 2],
    [{ pKeys: ['0xffff'] }, 0],
  ])('with %j have %i devices', (selectors, count) => {
    expect(answer([{ resourceName: 'n', selectors }]).listed).toHaveLength(count);
  });

  it.each(['igb_kernel', 'fpga'])('refuse a device that is not theirs: %s', (resourceName) => {
    const kind = resourceName === 'fpga' ? { deviceType: 'accelerator', selectors: {} } : KERNEL_VFS;
    expect(() => answer([{ ...kind, resourceName }], { ids: ['0000:99:00.0'] })).toThrow(
      `resource "intel.com/${resourceName}" has no device "0000:99:00.0"`,
    );
  });

  it('with a hyphen have a variable that shells can read beside', () => {
    const { envs } = answer([{ ...KERNEL_VFS, resourceName: 'dup-rest' }]);
    expect(Object.keys(envs)).toEqual([
      'PCIDEVICE_INTEL_COM_DUP-REST',
      'PCIDEVICE_INTEL_COM_DUP-REST_INFO',
      'PCIDEVICE_INTEL_COM_DUP_REST',
      'PCIDEVICE_INTEL_COM_DUP_REST_INFO',
    ]);
  });
});
