import { describe, expect, it } from 'vitest';
import type { Scope } from '../../lib/cni/scope.ts';
import { fakeScope } from '../../lib/cni/testing/fake-scope.ts';
import { NETNS_SHARED } from '../../lib/netlink/codec/rdma.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { FakeRdma } from '../../lib/rdma/testing/fake-rdma.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { examine } from './examine.ts';
import { recorded } from './recorded.ts';
import { nameOf, statesIn } from './state.ts';

const HOST = '/host';
const CONFS = [{ type: 'rdma', name: 'fast' }];

function hostOf(kernel: FakeRdma): Scope {
  const netns = { descriptor: kernel.descriptorOf(HOST), rdmaNetlink: undefined };
  Object.defineProperty(netns, 'rdmaNetlink', { get: () => kernel.netlink(HOST) });
  return fakeScope({ node: { host: netns as unknown as Netns } });
}

const found = (kernel: FakeRdma, confs: readonly (typeof CONFS)[number][] = CONFS) =>
  examine(hostOf(kernel), { confs, records: [], isGone: () => false });

describe('findings of rdma', () => {
  it('are none when no network needs RDMA, or all is well', async () => {
    const kernel = new FakeRdma();
    expect(await found(kernel, [])).toEqual([]);
    kernel.devices.set('rxe0', HOST);
    expect(await found(kernel)).toEqual([]);
  });
  it('report that no device is left', async () => {
    expect(await found(new FakeRdma())).toMatchObject([
      { level: 'warning', text: expect.stringContaining('no RDMA device left') },
    ]);
  });
  it('report a wrong mode, with the fix', async () => {
    const kernel = new FakeRdma();
    kernel.mode = NETNS_SHARED;
    expect(await found(kernel)).toMatchObject([{ level: 'fault', fix: expect.stringContaining('netns_mode=0') }]);
    kernel.mode = undefined;
    expect(await found(kernel)).toMatchObject([{ level: 'fault', fix: expect.stringContaining('Linux 5.3') }]);
    kernel.isLoaded = false;
    expect(await found(kernel)).toMatchObject([{ level: 'fault', fix: expect.stringContaining('ib_core') }]);
  });
});

describe('records of rdma', () => {
  it('give the device of each attachment, and how to release it', async () => {
    using folder = temporaryFolder();
    const namespace = { boot: 'b', inode: '4:7' };
    const owner = { network: 'fast', containerId: 'c1', ifName: 'net1', netns: '/run/netns/a', namespace };
    const state = { deviceId: '0000:65:00.1', hostName: 'mlx5_9', containerName: 'mlx5_9' };
    const states = statesIn(folder.path);
    states.write(nameOf(owner), { ...state, owner });
    states.write(nameOf({ ...owner, containerId: 'of-go' }), { ...state, owner: undefined });
    const confs = [{ type: 'rdma', dataDir: folder.path }];
    const all = await recorded(hostOf(new FakeRdma()), confs);
    expect(all.filter(({ place }) => place.startsWith(folder.path))).toMatchObject([
      { ...owner, device: 'mlx5_9', release: { type: 'rdma', name: 'fast', dataDir: folder.path } },
    ]);
  });
});
