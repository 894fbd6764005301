/** A cluster of one node with cards that are made up, and our device plugins on it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { GrpcClient } from '../containerd/grpc.ts';
import { until } from '../containerd/poll.ts';
import { decode, list, type Message, text } from '../containerd/protobuf.ts';
import { untilAllocatable } from './device-plugin.ts';
import { Kubernetes } from './kubernetes.ts';
import { MadeDevices } from './made-devices.ts';
import { applyNetwork, installMultus } from './multus.ts';
import { whereabouts } from './networks.ts';
import type { Node } from './node.ts';
import { type Given, givenTo, OwnDevicePlugins, type Way } from './own-device-plugins.ts';
import { NETWORKS, type PodWanted } from './pods.ts';

/** Virtual functions with an interface, one for a program, an RDMA device that pods share. */
export const [VF, PROGRAM, SHARED] = ['example.com/vf', 'example.com/dpdk', 'rdma/hca'] as const;
export const ALL = { [VF]: '3', [PROGRAM]: '1', [SHARED]: '3' };

/** What pods with a virtual function are told besides. */
export const RACK = { rack: '7' };
export const VF_RESOURCE = {
  resourceName: 'vf',
  selectors: [{ drivers: ['iavf'], pfNames: ['ens0#0-2'] }],
  additionalInfo: { '*': RACK },
  health: { link: true, settleSeconds: 0 },
};
export const PROGRAM_RESOURCE = { resourceName: 'dpdk', selectors: { drivers: ['vfio-pci'] } };
export const sriov = (...resourceList: readonly object[]): object => ({ resourceList });
const shared = { configList: [{ resourceName: 'hca', rdmaHcaMax: 3, selectors: { ifNames: ['rail0'] } }] };

/** https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/podresources/v1/api.proto */
const POD_RESOURCES = '/var/lib/kubelet/pod-resources/kubelet.sock';
const GET_ALLOCATABLE = '/v1.PodResourcesLister/GetAllocatableResources';
const ALLOCATABLE: Message = { devices: list(1, { resource: text(1), ids: list(2, 'string') }) };
const TIMEOUT_MS = 5_000;
/** On a machine with far too much to do. */
const REGISTERED_MS = 120_000;

const INFOS = '/run/k8s.cni.cncf.io/devinfo/dp';

/** A pod with a virtual function as its interface. */
export const withVf = (name: string): PodWanted => ({
  name,
  annotations: { [NETWORKS]: 'vfs' },
  limits: { [VF]: '1' },
});

export const vfOf = ({ env }: Given): string => env['PCIDEVICE_EXAMPLE_COM_VF'] ?? expect.fail('it has no VF');
export const infoName = (vf: string): string => `example.com-vf-${vf}-device.json`;

export class DeviceLab implements AsyncDisposable {
  readonly kubernetes: Kubernetes;
  readonly node: Node;
  readonly devices: MadeDevices;
  readonly plugins: OwnDevicePlugins;

  private constructor(kubernetes: Kubernetes, devices: MadeDevices, plugins: OwnDevicePlugins) {
    this.kubernetes = kubernetes;
    this.node = kubernetes.node('n1');
    this.devices = devices;
    this.plugins = plugins;
  }

  /** With the networks `vfs`, of virtual functions, and `rail`, of macvlans. */
  static async open(): Promise<DeviceLab> {
    await using stack = new AsyncDisposableStack();
    const kubernetes = stack.use(await Kubernetes.start());
    const node = kubernetes.node('n1');
    const lab = new DeviceLab(kubernetes, await MadeDevices.on(node), await OwnDevicePlugins.on(node));
    await hurryKubelet(node);
    await installMultus(kubernetes);
    const hostDevice = { type: 'host-device', ipam: whereabouts('10.9.0.0/24') };
    await applyNetwork(kubernetes, 'vfs', { cniVersion: '1.0.0', plugins: [hostDevice] }, VF);
    const macvlan = { type: 'macvlan', master: 'rail0', mode: 'bridge', ipam: whereabouts('10.9.1.0/24') };
    await applyNetwork(kubernetes, 'rail', { cniVersion: '1.0.0', plugins: [macvlan] });
    stack.move();
    return lab;
  }

  async startAll(way: Way): Promise<void> {
    this.plugins.way = way;
    await this.plugins.configure('sriovdp', sriov(VF_RESOURCE, PROGRAM_RESOURCE));
    await this.plugins.configure('k8s-rdma-shared-dp', shared);
    this.plugins.start('sriovdp', 'k8s-rdma-shared-dp');
    await this.untilAllocatable(ALL);
  }

  /** Waits until the kubelet knows so many devices that are well, and then the cluster, which hears of it later. */
  async untilAllocatable(wanted: Readonly<Record<string, string>>): Promise<void> {
    await this.untilRegistered(wanted);
    await untilAllocatable(this.kubernetes, this.node.name, wanted);
  }

  /** Waits until the kubelet knows so many devices that are well. */
  async untilRegistered(wanted: Readonly<Record<string, string>>): Promise<void> {
    const { plugins } = this;
    const look = async (): Promise<true> => {
      const counts = await this.healthy();
      if (Object.entries(wanted).some(([name, count]) => (counts.get(name) ?? 0) !== Number(count))) {
        throw new Error(JSON.stringify([...counts]));
      }
      return true;
    };
    await until(`the kubelet to have ${JSON.stringify(wanted)}`, look, REGISTERED_MS).catch((error: unknown) => {
      throw new Error([error, plugins.lastWords('sriovdp'), plugins.lastWords('k8s-rdma-shared-dp')].join('\n'));
    });
  }

  /** Devices that are well by the kubelet's own word, by resource. */
  private async healthy(): Promise<ReadonlyMap<string, number>> {
    using kubelet = new GrpcClient(this.node.pathHere(POD_RESOURCES));
    const answer = await kubelet.call(GET_ALLOCATABLE, Buffer.alloc(0), TIMEOUT_MS);
    const devices = (decode(ALLOCATABLE, answer)['devices'] ?? []) as readonly { resource: string; ids: string[] }[];
    const groups = Map.groupBy(devices, ({ resource }) => resource);
    return new Map([...groups].map(([name, all]) => [name, new Set(all.flatMap(({ ids }) => ids)).size]));
  }

  given(pod: string): Promise<Given> {
    return givenTo(this.kubernetes, this.node, pod);
  }

  /** What multus is told of devices, by the name of the file. */
  infos(): Readonly<Record<string, string>> {
    const folder = this.node.pathHere(INFOS);
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plugins[Symbol.asyncDispose]();
    await this.kubernetes[Symbol.asyncDispose]();
  }
}

/** It tells the cluster of devices every ten seconds otherwise. */
const hurryKubelet = (node: Node): Promise<void> => configureKubelet(node, { nodeStatusUpdateFrequency: '1s' });

/** Starts it again with other settings. */
export async function configureKubelet(node: Node, settings: object): Promise<void> {
  const file = '/etc/kubernetes/kubelet.json';
  const config = JSON.parse(readFileSync(node.pathHere(file), 'utf8'));
  await node.write(file, JSON.stringify({ ...config, ...settings }));
  await node.restart('kubelet');
}
