import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Temporary, temporaryFolder } from '../sys/testing/temporary.ts';
import { Companions } from './companions.ts';
import { discover } from './discovery.ts';
import type { Holder } from './kubelet/holders.ts';
import { choose } from './placement.ts';
import { SriovSource } from './sriov/source.ts';
import { makeSampleNode, sampleKernel } from './testing/sample-node.ts';

const GPU = 'GPU-7d1e2c3a';
const NIC = 'example.com/vf';

const holder = (pod: string, resource: string, ...ids: readonly string[]): Holder => ({
  ...{ namespace: 'a', pod, container: 'main', resource, ids },
});

class Lab implements Disposable {
  private readonly folder: Temporary = temporaryFolder();
  holders: readonly Holder[] = [];
  now = 0;
  isAway = false;
  readonly companions = new Companions({
    root: this.folder.path,
    now: () => this.now,
    list: async () => (this.isAway ? Promise.reject(new Error('away')) : this.holders),
  });

  constructor() {
    this.card('0000:81:00.0', 'pci0000:80/0000:80:01.0', 1);
    this.card('0000:03:00.1', 'pci0000:00/0000:00:02.0', 0);
    const gpu = join(this.folder.path, 'proc/driver/nvidia/gpus/0000:81:00.0');
    mkdirSync(gpu, { recursive: true });
    writeFileSync(
      join(gpu, 'information'),
      `Model: \t\t H100\nIRQ:   \t\t 40\nGPU UUID: \t ${GPU}\nBus Type: \t PCIe\n`,
    );
  }

  private card(address: string, above: string, numaNode: number): void {
    const place = join(this.folder.path, 'sys/devices', above, address);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'numa_node'), `${numaNode}\n`);
    mkdirSync(join(this.folder.path, 'sys/bus/pci/devices'), { recursive: true });
    symlinkSync(`../../../devices/${above}/${address}`, join(this.folder.path, 'sys/bus/pci/devices', address));
  }

  async ids(resource = NIC): Promise<readonly string[]> {
    return (await this.companions.of(resource)).map(({ id }) => id);
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

describe('other devices of a pod', () => {
  it('are those of the pod that is new and has none of the resource', async () => {
    using lab = new Lab();
    lab.holders = [holder('old', 'nvidia.com/gpu', 'GPU-other'), holder('older', NIC, '0000:03:00.1')];
    await lab.companions.begin();
    expect(await lab.ids()).toEqual([]);
    lab.holders = [...lab.holders, holder('new', 'nvidia.com/gpu', `${GPU}::3`)];
    expect(await lab.ids()).toEqual([`${GPU}::3`]);
    lab.holders = [...lab.holders, holder('new', 'example.com/other', '0000:03:00.1')];
    expect(await lab.ids()).toEqual([`${GPU}::3`, '0000:03:00.1']);
    expect(await lab.ids('example.com/other')).toEqual([]);
    lab.now = 10_000;
    expect(await lab.ids()).toEqual([]);
  });

  it('are not guessed: not among several, not before anything is known, not without the kubelet', async () => {
    using lab = new Lab();
    lab.holders = [holder('one', 'nvidia.com/gpu', GPU)];
    expect(await lab.ids()).toEqual([]);
    using other = new Lab();
    await other.companions.begin();
    other.holders = [holder('one', 'nvidia.com/gpu', GPU), holder('two', 'nvidia.com/gpu', GPU)];
    expect(await other.ids()).toEqual([]);
    other.isAway = true;
    expect(await other.ids()).toEqual([]);
  });

  it('draw the choice to them', async () => {
    using lab = new Lab();
    await lab.companions.begin();
    lab.holders = [holder('new', 'nvidia.com/gpu', GPU)];
    const companions = await lab.companions.of(NIC);
    expect(companions).toEqual([
      {
        id: GPU,
        pciAddress: '0000:81:00.0',
        pfAddress: '',
        place: 'devices/pci0000:80/0000:80:01.0/0000:81:00.0',
        numaNode: 1,
      },
    ]);
    const near = { id: 'b', pciAddress: 'b', pfAddress: 'y', place: 'devices/pci0000:80/0000:80:01.0/b', numaNode: 1 };
    const far = { id: 'a', pciAddress: 'a', pfAddress: 'x', place: 'devices/pci0000:00/0000:00:02.0/a', numaNode: 0 };
    const devices = new Map([far, near].map((one) => [one.id, one]));
    const request = { availableDeviceIDs: ['a', 'b'], mustIncludeDeviceIDs: [], allocationSize: 1 };
    expect([choose('near', devices, request), choose('near', devices, request, companions)]).toEqual([['a'], ['b']]);
    expect(choose('packed', devices, request, companions)).toEqual(choose('packed', devices, request));
  });

  it('are asked for by a resource that wants its devices near', async () => {
    using folder = temporaryFolder();
    makeSampleNode(folder.path);
    let holders: readonly Holder[] = [];
    const companions = new Companions({ root: folder.path, now: () => 0, list: async () => holders });
    const source = new SriovSource('', 'example.com', { root: folder.path, useCdi: false, companions });
    const selectors = [{ drivers: ['igbvf'] }, { drivers: ['mlx5_core'] }];
    source.configure(JSON.stringify({ resourceList: [{ resourceName: 'vf', selectors, allocation: 'near' }] }));
    const kernel = sampleKernel();
    const { devices } = discover(join(folder.path, 'sys'), kernel);
    const [resource] = source.look({ devices, kernel, held: new Map(), now: 0 }).resources;
    const availableDeviceIDs = ['0000:01:10.0', '0000:03:00.1'];
    const request = { availableDeviceIDs, mustIncludeDeviceIDs: [], allocationSize: 1 };
    await companions.begin();
    expect(await resource?.prefer?.(request)).toEqual(['0000:01:10.0']);
    holders = [holder('new', 'example.com/card', '0000:04:00.0')]; // of the other NUMA node
    expect(await resource?.prefer?.(request)).toEqual(['0000:03:00.1']);
  });
});
