import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Temporary, temporaryFolder } from '../../sys/testing/temporary.ts';
import type { KernelFacts } from '../facts.ts';
import { NodeView } from '../node-view.ts';
import type { Resource } from '../resource.ts';
import type { Held } from '../source.ts';
import { makeSampleNode, sampleKernel } from '../testing/sample-node.ts';
import { SriovSource } from './source.ts';

/** A node, looked at again and again. */
class Lab implements Disposable {
  readonly folder: Temporary = temporaryFolder();
  source = new SriovSource('config.json', 'intel.com', { root: this.folder.path, useCdi: false });
  now = 0;
  againMs = 0;
  resources: readonly Resource[] = [];
  private view = new NodeView(this.folder.path);

  constructor(...resourceList: readonly object[]) {
    makeSampleNode(this.folder.path);
    this.configure(...resourceList);
  }

  configure(...resourceList: readonly object[]): void {
    this.source.configure(JSON.stringify({ resourceList }));
  }

  /** What the kubelet is told. */
  look(held: Readonly<Record<string, readonly string[]>> = {}, kernel: Partial<KernelFacts> = {}) {
    const sets: Held = new Map(Object.entries(held).map(([resource, ids]) => [`intel.com/${resource}`, new Set(ids)]));
    const facts = sampleKernel(kernel);
    const { devices: found } = this.view.look(facts);
    const { resources, againMs } = this.source.look({ devices: found, kernel: facts, held: sets, now: this.now });
    this.againMs = againMs;
    this.resources = resources;
    return Object.fromEntries(
      resources.map(({ name, devices }) => [
        name.name,
        devices.value.map(({ ID, health }) => (health === 'Healthy' ? ID : `${ID}!`)).join(' '),
      ]),
    );
  }

  /** The program has been started again: what it knew is forgotten. */
  restart(): void {
    this.view = new NodeView(this.folder.path);
  }

  remove(path: string): void {
    rmSync(join(this.folder.path, path), { recursive: true });
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

const DEVICE = 'sys/devices/pci0000:00';
const KERNEL_VFS = { resourceName: 'vf', selectors: { drivers: ['igbvf'] } };

describe('a resource of SR-IOV devices', () => {
  it('keeps a device that has gone while a container has it, and for a minute after', () => {
    using lab = new Lab(KERNEL_VFS);
    expect(lab.look()).toEqual({ vf: '0000:01:10.0 0000:01:10.2' });
    lab.remove('sys/bus/pci/devices/0000:01:10.0');
    const held = { vf: ['0000:01:10.0'] };
    expect(lab.look(held)).toEqual({ vf: '0000:01:10.2 0000:01:10.0!' });
    expect(lab.look(held)).toEqual({ vf: '0000:01:10.2 0000:01:10.0!' });
    lab.now = 100_000;
    expect(lab.look(held)).toEqual({ vf: '0000:01:10.2 0000:01:10.0!' });
    lab.now += 20_000;
    expect(lab.look()).toEqual({ vf: '0000:01:10.2 0000:01:10.0!' });
    expect(lab.againMs).toBe(40_000);
    lab.now += 39_999;
    expect(lab.look()).toEqual({ vf: '0000:01:10.2 0000:01:10.0!' });
    lab.now += 1;
    expect(lab.look()).toEqual({ vf: '0000:01:10.2' });
    expect(lab.againMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('is healthy again when it is back in time', () => {
    using lab = new Lab(KERNEL_VFS);
    lab.look();
    const path = join(lab.folder.path, 'sys/bus/pci/devices/0000:01:10.0');
    renameSync(path, `${lab.folder.path}/away`);
    expect(lab.look()).toEqual({ vf: '0000:01:10.2 0000:01:10.0!' });
    renameSync(`${lab.folder.path}/away`, path);
    expect(lab.look()).toEqual({ vf: '0000:01:10.0 0000:01:10.2' });
    expect(lab.againMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('is announced when it has its first device', () => {
    using lab = new Lab({ resourceName: 'late', selectors: { pciAddresses: ['0000:09:00.0'] } });
    expect(lab.look()).toEqual({});
    const folder = join(lab.folder.path, 'sys/bus/pci/devices');
    mkdirSync(folder, { recursive: true });
    lab.source.configure(JSON.stringify({ resourceList: [{ resourceName: 'late', selectors: KERNEL_VFS.selectors }] }));
    expect(lab.look()).toEqual({ late: '0000:01:10.0 0000:01:10.2' });
  });

  it('keeps a card whose interface is in a pod, after a restart by what the kubelet says', () => {
    using lab = new Lab({ resourceName: 'card', selectors: { linkTypes: ['ether'], pciAddresses: ['0000:02:00.0'] } });
    expect(lab.look()).toEqual({ card: '0000:02:00.0' });
    lab.remove(`${DEVICE}/0000:02:00.0/net/eth1`);
    expect(lab.look()).toEqual({ card: '0000:02:00.0' });
    lab.restart();
    expect(lab.look({ card: ['0000:02:00.0'] })).toEqual({ card: '0000:02:00.0' });
  });

  it('does not take over what a container has by another resource', () => {
    using lab = new Lab({ resourceName: 'first', selectors: {} }, KERNEL_VFS);
    expect(lab.look({ vf: ['0000:01:10.0'] })['vf']).toBe('0000:01:10.0');
    expect(lab.look()['vf']).toBe('0000:01:10.0!');
    lab.now += 60_000;
    expect(lab.look()['vf']).toBeUndefined();
  });
});

describe('a device that a container has by a name that is configured no more', () => {
  const held = { vf: ['0000:01:10.0'] };

  it('belongs to no other resource until the container has ended, for which is looked', () => {
    using lab = new Lab(KERNEL_VFS);
    lab.look(held);
    lab.configure({ ...KERNEL_VFS, resourceName: 'next' });
    expect(lab.look(held)).toEqual({ next: '0000:01:10.2' });
    expect(lab.againMs).toBe(10_000);
    lab.restart();
    expect(lab.look(held)).toEqual({ next: '0000:01:10.2' });
    expect(lab.look()).toEqual({ next: '0000:01:10.0 0000:01:10.2' });
    expect(lab.againMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('is told to be unhealthy by a resource that has offered it too', () => {
    using lab = new Lab(KERNEL_VFS);
    lab.look();
    expect(lab.look({ foreign: ['0000:01:10.0'] })).toEqual({ vf: '0000:01:10.2 0000:01:10.0!' });
    expect(lab.look({ foreign: ['0000:01:10.0'] })).toEqual({ vf: '0000:01:10.2 0000:01:10.0!' });
    expect(lab.look()).toEqual({ vf: '0000:01:10.0 0000:01:10.2' });
  });
});

const INFOS = 'var/run/k8s.cni.cncf.io/devinfo/dp';
const RDMA_VFS = { resourceName: 'rdma', selectors: { rootDevices: ['0000:03:00.0'], isRdma: true } };

describe('an RDMA device that a container is to have', () => {
  const CLASSES = ['infiniband_verbs/uverbs2', 'infiniband_mad/umad2', 'infiniband_mad/issm2'];
  const FILES = CLASSES.map((name) => `/dev/infiniband/${name.replace(/.*\//, '')}`).sort();
  const ID = '0000:03:00.1';
  const PLACE = `${DEVICE}/${ID}/infiniband`;
  const inPod: Partial<KernelFacts> = { rdmaEnabled: new Set([ID]) };

  /** @param patienceMs how long an allocation waits */
  function labWithRdma(patienceMs: number): Lab {
    const lab = new Lab(RDMA_VFS);
    lab.source = new SriovSource('config.json', 'intel.com', {
      root: lab.folder.path,
      useCdi: false,
      rdmaMs: patienceMs,
    });
    lab.configure(RDMA_VFS);
    return lab;
  }
  const allocate = (lab: Lab) => lab.resources[0]?.allocate([ID]) ?? expect.fail('no resource');

  it('is refused while it has no device files, as it could do nothing', async () => {
    using lab = labWithRdma(0);
    lab.look();
    for (const name of CLASSES) {
      lab.remove(`sys/class/${name}`);
    }
    const why = `device "${ID}" of resource "intel.com/rdma" has no RDMA device files at the moment`;
    await expect(allocate(lab)).rejects.toThrow(why);
    const other = await lab.resources[0]?.allocate(['0000:03:00.2']);
    expect(other?.devices.map(({ hostPath }) => hostPath)).toContain('/dev/infiniband/uverbs3');
    lab.configure({ ...RDMA_VFS, selectors: { rootDevices: ['0000:03:00.0'] } });
    lab.look();
    expect(await allocate(lab)).toMatchObject({ devices: [] }); // nobody has asked for RDMA
  });

  it('is awaited while it comes home from the pod that had it', async () => {
    using lab = labWithRdma(60_000);
    const home = join(lab.folder.path, PLACE);
    renameSync(home, `${lab.folder.path}/away`);
    expect(lab.look({}, inPod)).toEqual({ rdma: `${ID} 0000:03:00.2` });
    const answer = allocate(lab);
    await new Promise((resolve) => setTimeout(resolve, 50));
    renameSync(`${lab.folder.path}/away`, home);
    lab.look();
    const { devices } = await answer;
    expect(devices.map(({ hostPath }) => hostPath).sort()).toEqual([...FILES, '/dev/infiniband/rdma_cm'].sort());
  });
});

describe('what multus is told of devices', () => {
  const fileOf = (lab: Lab, id: string): string => join(lab.folder.path, INFOS, `intel.com-rdma-${id}-device.json`);
  const [FIRST, SECOND] = ['0000:03:00.1', '0000:03:00.2'] as const;
  const held = { rdma: [FIRST] };

  it('is written again after a reboot, for those that containers have', () => {
    using lab = new Lab(RDMA_VFS);
    lab.look(held);
    expect(JSON.parse(readFileSync(fileOf(lab, FIRST), 'utf8'))).toEqual({
      type: 'pci',
      version: '1.1.0',
      pci: { 'pci-address': FIRST, 'rdma-device': 'mlx5_2' },
    });
    expect(existsSync(fileOf(lab, SECOND))).toBe(false);
  });

  it('stays as it was while a container has the device', () => {
    using lab = new Lab(RDMA_VFS);
    mkdirSync(join(lab.folder.path, INFOS), { recursive: true });
    writeFileSync(fileOf(lab, FIRST), 'as it was');
    lab.look(held);
    expect(readFileSync(fileOf(lab, FIRST), 'utf8')).toBe('as it was');
  });

  it('is removed at the end, but for what containers have, and only if that is known', async () => {
    using lab = new Lab(RDMA_VFS);
    lab.look(held);
    const [pool] = lab.resources;
    await pool?.allocate([FIRST, SECOND]);
    writeFileSync(join(lab.folder.path, INFOS, 'foreign-device.json'), '');
    lab.source.end(undefined);
    expect(readdirSync(join(lab.folder.path, INFOS))).toHaveLength(3);
    lab.source.end(new Map([['intel.com/rdma', new Set([FIRST])]]));
    expect(readdirSync(join(lab.folder.path, INFOS))).toEqual([
      'foreign-device.json',
      `intel.com-rdma-${FIRST}-device.json`,
    ]);
  });
});

describe('what runtimes are told of resources that are configured no more', () => {
  const DPDK = { resourceName: 'dpdk', selectors: { drivers: ['vfio-pci'] } };
  const FPGA = { resourceName: 'fpga', deviceType: 'accelerator', selectors: {} };
  const filesIn = (lab: Lab): readonly string[] => readdirSync(join(lab.folder.path, 'var/run/cdi')).sort();

  function labWithCdi(): Lab {
    const lab = new Lab(DPDK, FPGA);
    lab.source = new SriovSource('config.json', 'intel.com', { root: lab.folder.path, useCdi: true });
    lab.configure(DPDK, FPGA);
    lab.look();
    expect(filesIn(lab)).toEqual(['sriov-dp-intel.com-net-accel-fpga.yaml', 'sriov-dp-intel.com-net-pci-dpdk.yaml']);
    return lab;
  }

  it('is taken back, unless a container has a device', () => {
    using lab = labWithCdi();
    lab.configure(FPGA);
    lab.look({ dpdk: ['0000:01:10.4'] });
    expect(filesIn(lab)).toHaveLength(2);
    lab.configure(DPDK);
    lab.look();
    expect(filesIn(lab)).toEqual(['sriov-dp-intel.com-net-pci-dpdk.yaml']);
  });

  it('is taken back by the next program, but not what others have written', () => {
    using lab = labWithCdi();
    const foreign = 'sriov-dp-other.com-net-pci-a.yaml';
    writeFileSync(join(lab.folder.path, 'var/run/cdi', foreign), 'cdiVersion: 0.5.0\n');
    lab.source.end(new Map());
    expect(filesIn(lab)).toHaveLength(3);
    lab.source = new SriovSource('config.json', 'intel.com', { root: lab.folder.path, useCdi: true });
    lab.configure(FPGA);
    lab.look();
    expect(filesIn(lab)).toEqual(['sriov-dp-intel.com-net-accel-fpga.yaml', foreign]);
  });
});

describe('health of a resource that asks for it', () => {
  const VFS = {
    resourceName: 'vf',
    selectors: { pfNames: ['eth0#2-3'] },
    health: { link: true, settleSeconds: 3 },
  };
  const card = (hasCarrier: boolean) => ({ links: new Map([['eth0', { isUp: true, hasCarrier }]]) });

  it('goes with the carrier of the card, and comes back when it has lasted', () => {
    using lab = new Lab(VFS, { ...VFS, resourceName: 'other', selectors: { pfNames: ['eth0'] }, health: {} });
    const other = '0000:01:10.0 0000:01:10.2';
    const [well, ill] = ['0000:01:10.4 0000:01:10.6', '0000:01:10.4! 0000:01:10.6!'];
    expect(lab.look({}, card(true))).toEqual({ vf: well, other });
    expect(lab.look({}, card(false))).toEqual({ vf: ill, other });
    expect(lab.look({}, card(true))).toEqual({ vf: ill, other });
    expect(lab.againMs).toBe(3_000);
    lab.now += 3_000;
    expect(lab.look({}, card(true))).toEqual({ vf: well, other });
  });
});

describe('which devices a container gets', () => {
  const request = { availableDeviceIDs: ['0000:01:10.6', '0000:01:10.4'], mustIncludeDeviceIDs: [], allocationSize: 1 };

  it('is said only where it is configured, and a resource is offered anew when that changes', async () => {
    const vfs = { resourceName: 'vf', selectors: { drivers: ['vfio-pci'] } };
    using lab = new Lab(vfs);
    lab.look();
    const [before] = lab.resources;
    expect(before?.prefer).toBeUndefined();
    lab.configure({ ...vfs, allocation: 'near' });
    lab.look();
    expect(lab.resources[0]).not.toBe(before);
    expect(await lab.resources[0]?.prefer?.(request)).toEqual(['0000:01:10.4']);
  });
});
