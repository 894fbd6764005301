/** A cluster with a plain node and one that has virtual functions, for networks by annotation. */
import { isDeepStrictEqual } from 'node:util';
import { expectSuccess } from '../../cluster/request.ts';
import { eventually } from '../../lab/eventually.ts';
import { untilAllocatable } from '../device-plugin.ts';
import { KUBELET_GC_MS, leavesNothing, untilClean } from '../everything.ts';
import { Kubernetes } from '../kubernetes.ts';
import { applyNetwork, installMultus } from '../multus.ts';
import { macvlan, whereabouts } from '../networks.ts';
import { NETWORKS, type PodWanted } from '../pods.ts';
import { removeAll } from '../workloads.ts';
import { DevicePluginDaemon, type DevicePluginProgram, type Resource } from './device-plugins.ts';
import { pciOf, placesOf, type VfPlace, vfsOf } from './vfs.ts';
import type { VmNode } from './vm-node.ts';

const PREFIX = 'example.com';

/** Virtual functions with the driver of networks, by resource: 16 of them. */
const NETDEVICES = { rail0: 4, rail1: 6, rail2: 6 } as const;

export type Rail = keyof typeof NETDEVICES;

/** How often a pod may ask for something that is there once. */
export const RDMA = `${PREFIX}/rdma`;
export const VFIO = `${PREFIX}/vfio`;

export const resourceOf = (rail: Rail): string => `${PREFIX}/${rail}`;

/** The last functions of two cards are for RDMA and for programs. */
export const RDMA_VF = 'rail1v6';
const VFIO_VF = { card: 'rail2', index: 6 } as const;

export const RESOURCES: readonly Resource[] = [
  resource('rail0', 'igbvf', 'rail0'),
  resource('rail1', 'igbvf', 'rail1#0-5'),
  { ...resource('rail2', 'igbvf', 'rail2#0-5'), health: { link: true, settleSeconds: 1 } },
  resource('rdma', 'igbvf', 'rail1#6', { isRdma: true }),
  resource('vfio', 'vfio-pci', 'rail2'),
];

function resource(resourceName: string, driver: string, pfName: string, more: { isRdma?: boolean } = {}): Resource {
  return { resourcePrefix: PREFIX, resourceName, selectors: { drivers: [driver], pfNames: [pfName], ...more } };
}

/** On an emulated machine, whose host has far too much to do. */
const PATIENCE_MS = 120_000;

/** What the kubelet has when all is as in the beginning. */
const ALLOCATABLE = Object.entries({ ...NETDEVICES, rdma: 1, vfio: 1 }).map(
  ([name, count]) => [`${PREFIX}/${name}`, String(count)] as const,
);

export class VfLab implements AsyncDisposable {
  readonly kubernetes: Kubernetes;
  readonly node: VmNode;
  readonly plugin: DevicePluginDaemon;
  /** of all functions, before pods */
  private readonly places: readonly VfPlace[];

  private constructor(kubernetes: Kubernetes, node: VmNode, plugin: DevicePluginDaemon, places: readonly VfPlace[]) {
    this.kubernetes = kubernetes;
    this.node = node;
    this.plugin = plugin;
    this.places = places;
  }

  /** n1 is a plain node, n2 has virtual functions, which this device plugin knows. */
  static async open(program?: DevicePluginProgram): Promise<VfLab> {
    await using stack = new AsyncDisposableStack();
    const machines = [{ rail0: 4, rail1: 7, rail2: 7 }];
    const kubernetes = stack.use(await Kubernetes.start({ nodes: 1, machines }));
    const node = kubernetes.machine('n2');
    await prepare(node);
    await installMultus(kubernetes);
    await applyNetworks(kubernetes);
    const plugin = await DevicePluginDaemon.start(
      kubernetes,
      node,
      RESOURCES,
      Object.fromEntries(ALLOCATABLE),
      program,
    );
    const places = await placesOf(node);
    stack.move();
    return new VfLab(kubernetes, node, plugin, places);
  }

  /** Does something after which all is as it was, virtual functions too. */
  async leavesNothing(work: () => Promise<void>): Promise<void> {
    const before = await vfsOf(this.node);
    await leavesNothing(this.kubernetes, work);
    await eventually(() => vfsOf(this.node), before, PATIENCE_MS);
  }

  /** Brings back what a test that has failed has left: a node that is off, daemons that have ended, pods, VFs. */
  async restore(): Promise<void> {
    const { kubernetes, node, plugin } = this;
    if (!node.isOn) {
      await this.powerOn();
    }
    if (!(await node.isRunning('kubelet'))) {
      await node.start('kubelet');
    }
    if (!(await plugin.isRunning())) {
      await plugin.start();
    }
    await removeAll(kubernetes);
    await untilClean(kubernetes, KUBELET_GC_MS);
    if (!isDeepStrictEqual(await placesOf(node), this.places)) {
      for (const rail of Object.keys(NETDEVICES)) {
        await this.unmake(rail as Rail);
      }
      await node.makeVfs();
      await prepare(node);
    }
    await Promise.all(Object.keys(NETDEVICES).map((rail) => node.run(['ip', 'link', 'set', rail, 'up'])));
    await this.untilThereNow(); // else a kubelet refuses pods for good
  }

  /** Until it has heard of the device plugin again: what the cluster knows of before is forgotten meanwhile. */
  async restartKubelet(): Promise<void> {
    await this.node.stop('kubelet');
    await this.forgetDevices();
    await this.node.start('kubelet');
    await this.untilThere();
  }

  /** Until the kubelet has said that it has all devices, which the cluster may know of before. */
  async untilThereNow(): Promise<void> {
    await this.forgetDevices();
    await this.untilThere();
  }

  private async forgetDevices(): Promise<void> {
    const none = Object.fromEntries(ALLOCATABLE.map(([name]) => [name, '0']));
    const body = { status: { allocatable: none, capacity: none } };
    const contentType = 'application/merge-patch+json';
    const path = `/api/v1/nodes/${this.node.name}/status`;
    await expectSuccess(this.kubernetes.cluster.send(path, { method: 'PATCH', body, contentType }));
  }

  private untilThere(): Promise<void> {
    return untilAllocatable(this.kubernetes, this.node.name, Object.fromEntries(ALLOCATABLE));
  }

  /** Takes the virtual functions of a card away. */
  async unmake(rail: Rail): Promise<void> {
    await this.node.run(['bash', '-ec', 'echo 0 >"/sys/class/net/$0/device/sriov_numvfs"', rail]);
  }

  /** Makes them again. */
  async make(rail: Rail): Promise<void> {
    await this.node.makeVfs([rail]);
    if (rail === VFIO_VF.card) {
      await prepareVfio(this.node);
    }
  }

  /** Power is cut, and comes back; the kubelet is there before the device plugin. */
  async cutPower(): Promise<void> {
    await this.node.cutPower();
    await this.powerOn();
  }

  private async powerOn(): Promise<void> {
    await this.node.powerOn();
    await prepare(this.node);
    await this.plugin.start();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kubernetes[Symbol.asyncDispose]();
  }
}

/** A pod with so many virtual functions, taken from all cards in turn. */
export const podWith = (name: string, count: number): PodWanted => podOn(name, railsOf(count));

/** A pod with a network, and a virtual function, of each of these cards. */
export function podOn(name: string, rails: readonly Rail[]): PodWanted {
  const networks = rails.map((rail, index) => `vf-${rail}@net${index + 1}`);
  const limits = (Object.keys(NETDEVICES) as Rail[])
    .map((rail) => [resourceOf(rail), rails.filter((one) => one === rail).length] as const)
    .filter(([, wanted]) => wanted > 0)
    .map(([name, wanted]) => [name, String(wanted)] as const);
  return { name, node: 'n2', annotations: { [NETWORKS]: networks.join(',') }, limits: Object.fromEntries(limits) };
}

/** The cards of the networks of such a pod, in their order. */
export function railsOf(count: number): readonly Rail[] {
  const left: Record<Rail, number> = { ...NETDEVICES };
  const rails = Object.keys(NETDEVICES) as Rail[];
  const taken: Rail[] = [];
  for (let turn = 0; taken.length < count; turn++) {
    const rail = rails[turn % rails.length];
    if (rail !== undefined && left[rail] > 0) {
      left[rail]--;
      taken.push(rail);
    }
  }
  return taken;
}

async function applyNetworks(kubernetes: Kubernetes): Promise<void> {
  const apply = (name: string, plugins: readonly object[], resourceName?: string): Promise<void> =>
    applyNetwork(kubernetes, name, { cniVersion: '1.0.0', plugins }, resourceName);
  for (const [index, rail] of (Object.keys(NETDEVICES) as Rail[]).entries()) {
    const range = `10.6.${index}.0/24`;
    await apply(`macvlan-${rail}`, [macvlan(rail, range)]);
    await apply(`vf-${rail}`, [{ type: 'sriov', ipam: whereabouts(range) }], resourceOf(rail));
  }
  await apply('vf-rdma', [{ type: 'sriov', ipam: whereabouts('10.6.1.0/24') }, { type: 'rdma' }], RDMA);
  await apply('vf-vfio', [{ type: 'sriov' }], VFIO);
}

/** One VF has an RDMA device, and another a driver for programs. */
async function prepare(node: VmNode): Promise<void> {
  await node.run(['ip', 'link', 'set', RDMA_VF, 'up']);
  await node.run(['modprobe', 'ib_umad']);
  await node.run(['rdma', 'link', 'add', 'rdma0', 'type', 'rxe', 'netdev', RDMA_VF]);
  await prepareVfio(node);
}

async function prepareVfio(node: VmNode): Promise<void> {
  const pci = await pciOf(node, VFIO_VF.card, VFIO_VF.index);
  const script = `
modprobe vfio-pci
echo "$0" >"/sys/bus/pci/devices/$0/driver/unbind"
echo vfio-pci >"/sys/bus/pci/devices/$0/driver_override"
echo "$0" >/sys/bus/pci/drivers_probe`;
  await node.run(['bash', '-ec', script, pci]);
}
