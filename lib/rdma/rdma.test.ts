import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NETNS_SHARED } from '../netlink/codec/rdma.ts';
import type { BusDevice } from '../sys/bus-device.ts';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { rdmaModuleOf, rdmaNamesAnywhere } from './bus.ts';
import { listRdmaDevices, moveRdmaDevice, type RdmaNetns } from './devices.ts';
import { modeFault, rdmaMode } from './mode.ts';
import { FakeRdma } from './testing/fake-rdma.ts';

function subsystem() {
  const kernel = new FakeRdma();
  kernel.devices.set('mlx5_0', '/host').set('mlx5_9', '/host').set('mlx5_7', '/pod');
  const netns = (path: string): RdmaNetns => ({
    descriptor: kernel.descriptorOf(path),
    get rdmaNetlink() {
      return kernel.netlink(path);
    },
  });
  return { kernel, scope: netns('/host'), pod: netns('/pod') };
}

describe('RDMA devices', () => {
  it('are listed by namespace', async () => {
    const { scope, pod } = subsystem();
    expect(await listRdmaDevices(scope)).toEqual([
      { index: 1, name: 'mlx5_0' },
      { index: 2, name: 'mlx5_9' },
    ]);
    expect((await listRdmaDevices(pod)).map(({ name }) => name)).toEqual(['mlx5_7']);
  });

  it('are none where the subsystem is not loaded', async () => {
    const { kernel, scope } = subsystem();
    kernel.isLoaded = false;
    expect(await listRdmaDevices(scope)).toEqual([]);
  });

  it('move by index, into a descriptor', async () => {
    const { kernel, scope, pod } = subsystem();
    await moveRdmaDevice({ index: 2, name: 'mlx5_9' }, scope, pod, 'into the pod');
    expect(kernel.log).toEqual(['move mlx5_9 /host /pod']);
    expect(kernel.devices.get('mlx5_9')).toBe('/pod');
  });

  it('say what the kernel says when they do not move', async () => {
    const { kernel, scope, pod } = subsystem();
    await expect(moveRdmaDevice({ index: 3, name: 'mlx5_7' }, scope, pod, 'into the pod')).rejects.toThrow(
      'cannot move RDMA device "mlx5_7" into the pod: ENODEV (no such device)',
    );
    kernel.refuse = () => 16;
    await expect(listRdmaDevices(scope)).rejects.toThrow('cannot list RDMA devices: EBUSY (device or resource busy)');
  });

  it('are named below their bus device wherever they are', () => {
    using folder = temporaryFolder();
    const device: BusDevice = { bus: 'pci', name: '0000:01:10.0', folder: folder.path };
    expect(rdmaNamesAnywhere(device)).toEqual([]);
    for (const [verbs, name] of [
      ['uverbs4', 'mlx5_9'],
      ['uverbs2', 'mlx5_3'],
    ] as const) {
      mkdirSync(join(folder.path, 'infiniband_verbs', verbs), { recursive: true });
      writeFileSync(join(folder.path, 'infiniband_verbs', verbs, 'ibdev'), `${name}\n`);
    }
    expect(rdmaNamesAnywhere(device)).toEqual(['mlx5_3', 'mlx5_9']);
    expect([rdmaModuleOf('mlx5_core'), rdmaModuleOf('igbvf')]).toEqual(['mlx5_ib', undefined]);
  });
});

describe('the mode of the RDMA subsystem', () => {
  it.each([
    ['exclusive', { mode: 0 }],
    ['shared', { mode: NETNS_SHARED }],
    ['unsupported', { mode: undefined }],
    ['unsupported', { refuse: () => 22 }],
    ['missing', { isLoaded: false }],
  ] as const)('is %s', async (mode, kernelHas) => {
    const { kernel, scope } = subsystem();
    Object.assign(kernel, kernelHas);
    expect(await rdmaMode(scope)).toBe(mode);
  });

  it('is not guessed when the kernel fails', async () => {
    const { kernel, scope } = subsystem();
    kernel.refuse = () => 12;
    await expect(rdmaMode(scope)).rejects.toThrow('cannot read the mode of the RDMA subsystem: ENOMEM');
  });

  it('says what to do when it is the wrong one', () => {
    expect(modeFault('exclusive')).toBeUndefined();
    expect(modeFault('shared')).toMatch(/shared mode.*rdma system set netns exclusive.*ib_core.netns_mode=0/);
    expect(modeFault('unsupported')).toContain('Linux 5.3');
    expect(modeFault('missing')).toContain('"ib_core"');
  });
});
