/** A node whose pods have networks of all plugins: VFs with their RDMA devices, devices of the node, macvlans. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import type { Outcome } from '../lab/execute.ts';
import { OURS } from '../lab/programs.ts';
import { filesIn, stateOf } from '../lab/state.ts';
import { type Calling, type Container as ContainerOf, LOST, OK, type StormPlace } from '../storm/storm.ts';
import { Node } from './node.ts';
import { rdmaDevicesOf } from './pci.ts';
import { pictureOfLink } from './picture.ts';
import { RdmaDevice } from './rdma.ts';
import { SriovLab } from './sriov-lab.ts';
import { until } from './until.ts';
import { Vfs } from './vfs.ts';

/** A VF with its RDMA device (`v0`, …), a device of the node (`d0`, …) or a macvlan (`m0`, …). */
export type Network = `${'v' | 'd' | 'm'}${number}`;
export type Container = ContainerOf<Network>;

const PARENT = 'mixed0';
const deviceName = (index: number): string => `dev${index}`;
const rdmaName = (index: number): string => `rdma${index}`;

export class MixedNode implements StormPlace<Network>, AsyncDisposable {
  private readonly node: Node;
  private readonly vfs: Vfs;
  private readonly sriov: SriovLab;
  private readonly devices: readonly string[];
  private readonly pods: Container[] = [];
  private readonly stack: AsyncDisposableStack;

  private constructor(node: Node, vfs: Vfs, devices: readonly string[], stack: AsyncDisposableStack) {
    this.node = node;
    this.vfs = vfs;
    this.sriov = new SriovLab(node, vfs);
    this.devices = devices;
    this.stack = stack;
  }

  /** So many of each. */
  static async open({ vfs: vfCount, devices: deviceCount }: { readonly vfs: number; readonly devices: number }) {
    await using stack = new AsyncDisposableStack();
    const node = stack.use(Node.open());
    const vfs = stack.use(await Vfs.make(vfCount));
    for (const { id, link } of vfs.all) {
      await node.ip(`link set ${link} up`);
      stack.use(await RdmaDevice.make(rdmaName(id), link));
    }
    const devices = Array.from({ length: deviceCount }, (_, index) => deviceName(index));
    for (const name of [PARENT, ...devices]) {
      stack.defer(async () => void (await node.tryIp(`link del ${name}`)));
      await node.ip(`link add ${name} type veth peer name ${name}-peer`);
      await node.sysctl(`net/ipv6/conf/${name}/addr_gen_mode`, '1');
      await node.ip(`link set ${name}-peer up`);
      await node.ip(`link set ${name} up`);
    }
    for (const [index, name] of devices.entries()) {
      await node.ip(`addr add 10.62.${index}.2/24 dev ${name}`);
      await node.ip(`route add 10.63.${index}.0/24 via 10.62.${index}.1`);
    }
    return new MixedNode(node, vfs, devices, stack.move());
  }

  get dir(): string {
    return this.node.dir;
  }

  async container(id: string, networks: readonly Network[]): Promise<Container> {
    const container = { id, pod: await this.node.pod(), networks };
    this.pods.push(container);
    return container;
  }

  call(verb: string, { id, pod, networks }: Container, calling: Calling = {}): Promise<Outcome> {
    const { env = {}, more = {}, netns = pod.path, killAfterMs } = calling;
    const delegates = networks.map((network) => this.network(network));
    const conf = {
      ...{ cniVersion: '1.1.0', name: 'node', type: 'multus' },
      ...{ cniDir: this.node.folder('cni'), binDir: OURS.bin, delegates, ...more },
    };
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${id}`;
    const call = { verb, plugin: 'multus', conf, netns, containerId: id, ifName: 'eth0', args, env };
    return this.node.call(call, OURS, killAfterMs === undefined ? {} : { killAfterMs });
  }

  /** A call that must succeed, without a word of what it waited for in vain. */
  async must(verb: string, container: Container, calling: Calling = {}): Promise<void> {
    const outcome = await this.call(verb, container, calling);
    expect(outcome).toMatchObject(OK);
    expect(outcome.stderr).not.toMatch(LOST);
  }

  /** Whatever calls could have changed. */
  async everything(): Promise<unknown> {
    await until('all RDMA devices are back', () => this.vfs.all.every(({ pci }) => rdmaDevicesOf(pci).length === 1));
    return {
      card: await this.sriov.picture(),
      rdma: this.vfs.all.map(({ pci }) => rdmaDevicesOf(pci)),
      devices: await Promise.all(this.devices.map((name) => pictureOfLink(name))),
      pods: await Promise.all(this.pods.map(({ pod }) => stateOf(pod.name))),
      files: ['cni', 'devices', 'rdma'].flatMap((name) => kept(this.node.folder(name))),
      taken: await this.taken(),
    };
  }

  expectAsBefore(before: unknown): Promise<void> {
    return eventually(() => this.everything(), before);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }

  /** All addresses that are reserved. */
  private async taken(): Promise<readonly string[]> {
    const options = ['--json', '--conf-dir', this.node.folder('nothing'), '--cache-dir', this.node.folder('cni')];
    const argv = [join(OURS.bin, 'braid'), 'ipam', 'show', ...options, '--data-dir', this.node.folder('store')];
    const pools = JSON.parse(await this.node.run(argv)) as readonly {
      readonly pool: string;
      readonly taken: readonly { readonly address: string; readonly id: string }[];
    }[];
    return pools.flatMap(({ pool, taken }) => taken.map(({ address, id }) => `${pool}: ${address} of ${id}`)).sort();
  }

  private network(network: Network): object {
    const index = Number(network.slice(1));
    const named = { cniVersion: '1.1.0', name: network };
    switch (network[0]) {
      case 'v': {
        const deviceID = this.vfs.at(index).pci;
        const rdma = { type: 'rdma', deviceID, dataDir: this.node.folder('rdma') };
        return { ...named, plugins: [{ type: 'sriov', deviceID, ipam: this.ipam(`10.7.${index}.0/24`) }, rdma] };
      }
      case 'd': {
        const own = { device: deviceName(index), dataDir: this.node.folder('devices') };
        return { ...named, type: 'host-device', ...own, ipam: this.ipam(`10.6.${index}.0/24`) };
      }
      default:
        return { ...named, type: 'macvlan', master: PARENT, ipam: this.ipam(`10.5.${index}.0/24`) };
    }
  }

  private ipam(range: string): object {
    return { type: 'whereabouts', datastore: 'file', data_dir: this.node.folder('store'), range };
  }
}

/** Files, also hidden ones; folders are made once and stay, and so do locks. */
const kept = (folder: string): readonly string[] =>
  Object.keys(filesIn(folder)).filter((name) => !name.endsWith('/') && !name.endsWith('.lock'));
