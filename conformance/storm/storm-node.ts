/** A node with devices that its pods share, and multus in front of all plugins. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import type { Outcome } from '../lab/execute.ts';
import { Lab, PARENT, type Pod } from '../lab/lab.ts';
import { batch, type Picture, pictureOf } from '../lab/picture.ts';
import { errorOf } from '../lab/printed.ts';
import { type Call, OURS } from '../lab/programs.ts';
import { filesIn, type NetnsState, stateOf } from '../lab/state.ts';
import { type Calling, type Container as ContainerOf, LOST, OK, type StormPlace } from './storm.ts';

/** A network of a pod: a macvlan (`m0`, `m1`, …) or a device of the node (`d0`, `d1`, …). */
export type Network = `${'m' | 'd'}${number}`;

export type Container = ContainerOf<Network>;

/** Whatever calls could have changed. */
export interface Everything {
  readonly node: Picture;
  /** settings of the devices */
  readonly settings: string;
  readonly pods: readonly NetnsState[];
  readonly cni: readonly string[];
  readonly records: readonly string[];
  readonly taken: readonly string[];
}

interface Pool {
  readonly pool: string;
  readonly taken: readonly { readonly address: string; readonly id: string }[];
}

export const deviceName = (index: number): string => `nic${index}`;

/** What is shared by all tests of this room. */
export class StormNode implements StormPlace<Network>, AsyncDisposable {
  readonly lab: Lab;
  readonly pods: Pod[] = [];
  readonly cniDir: string;
  readonly store: string;
  readonly records: string;
  private readonly macPrefix: string;

  private constructor(lab: Lab) {
    this.lab = lab;
    this.cniDir = lab.folder('cni');
    this.store = lab.folder('store');
    this.records = lab.folder('records');
    this.macPrefix = ['02', ...(randomBytes(4).toString('hex').match(/../g) ?? [])].join(':');
  }

  /** Each device has something of everything that goes lost when one only moves it. */
  static async open(deviceCount: number, options: Parameters<typeof Lab.open>[0] = {}): Promise<StormNode> {
    const lab = await Lab.open(options);
    try {
      const node = new StormNode(lab);
      await lab.sysctl(lab.node, 'net/ipv6/conf/default/addr_gen_mode', '1'); // the kernel would add addresses later
      for (let index = 0; index < deviceCount; index++) {
        await node.addDevice(index);
      }
      await node.untilCarried(deviceCount);
      return node;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  private async addDevice(index: number): Promise<void> {
    const name = deviceName(index);
    await batch(this.lab.node, [
      `link add ${name} address ${this.macOf(index)} mtu 1400 type veth peer name ${name}-peer`,
      `link set ${name}-peer up`,
      `link property add dev ${name} altname second-${index}`,
      `link set ${name} up`,
      `addr add 10.60.${index}.2/24 dev ${name}`,
      `addr add fd60:${index}::2/64 dev ${name} nodad`,
      `route add 10.61.${index}.0/24 via 10.60.${index}.1`,
    ]);
  }

  /** The kernel makes some routes only when it has noticed that both ends are up. */
  private async untilCarried(deviceCount: number): Promise<void> {
    const links = Array.from({ length: deviceCount }, (_, index) => [deviceName(index), `${deviceName(index)}-peer`]);
    await eventually(async () => {
      const { routes } = await stateOf(this.lab.node);
      return links.flat().filter((link) => !routes.some(({ dst, dev }) => dst === 'ff00::/8' && dev === link));
    }, []);
  }

  /** No other node of this machine has a device with that address: pods are told apart by it. */
  macOf(index: number): string {
    return `${this.macPrefix}:0${index}`;
  }

  get dir(): string {
    return this.lab.dir;
  }

  async pod(): Promise<Pod> {
    const pod = await this.lab.pod();
    this.pods.push(pod);
    return pod;
  }

  async container(id: string, networks: readonly Network[]): Promise<Container> {
    return { id, pod: await this.pod(), networks };
  }

  whereabouts(range: string, more: object = {}): object {
    return { type: 'whereabouts', datastore: 'file', data_dir: this.store, range, ...more };
  }

  macvlan(index: number, more: object = {}): object {
    const ipam = this.whereabouts(`10.5.${index}.0/24`);
    return { cniVersion: '1.1.0', name: `rail-${index}`, type: 'macvlan', master: PARENT, ipam, ...more };
  }

  hostDevice(index: number, more: object = {}): object {
    const own = { type: 'host-device', device: deviceName(index), dataDir: this.records };
    const ipam = this.whereabouts(`10.6.${index}.0/24`);
    return { cniVersion: '1.1.0', name: `port-${index}`, ...own, ipam, ...more };
  }

  network(network: Network): object {
    const index = Number(network.slice(1));
    return network.startsWith('m') ? this.macvlan(index) : this.hostDevice(index);
  }

  multus(delegates: readonly object[], more: object = {}): object {
    const { cniDir } = this;
    return { cniVersion: '1.1.0', name: 'node', type: 'multus', cniDir, binDir: OURS.bin, delegates, ...more };
  }

  /** One plugin by itself, without multus. */
  plugin(
    verb: string,
    conf: object,
    call: Omit<Call, 'verb' | 'plugin' | 'conf'>,
    calling: Calling = {},
  ): Promise<Outcome> {
    const { type: plugin = '' } = conf as { readonly type?: string };
    return this.lab.call({ verb, plugin, conf, ...call }, OURS, timed(calling));
  }

  call(verb: string, { id, pod, networks }: Container, calling: Calling = {}): Promise<Outcome> {
    const { env = {}, more = {}, netns = pod.path } = calling;
    const delegates = networks.map((network) => this.network(network));
    const call = { verb, plugin: 'multus', netns, containerId: id, ifName: 'eth0', args: podArgs(id), env };
    const path = [join(this.lab.dir, 'fake'), ...OURS.path];
    return this.lab.call({ ...call, path, conf: this.multus(delegates, more) }, OURS, timed(calling));
  }

  /** A call that must succeed, without a word of what it waited for in vain. */
  async must(verb: string, container: Container, calling: Calling = {}): Promise<void> {
    const outcome = await this.call(verb, container, calling);
    expect(outcome).toMatchObject(OK);
    expect(outcome.stderr).not.toMatch(LOST);
  }

  async fails(verb: string, container: Container, calling: Calling = {}) {
    const outcome = await this.call(verb, container, calling);
    expect(outcome).toMatchObject({ exitCode: 1 });
    expect(outcome.stdout + outcome.stderr).not.toMatch(LOST);
    return errorOf(outcome);
  }

  /** All addresses that are reserved: `10.5.0.0-24: 10.5.0.1 of c1`. */
  async taken(): Promise<readonly string[]> {
    const nothing = this.lab.folder('nothing');
    const options = ['--json', '--conf-dir', nothing, '--cache-dir', this.cniDir, '--data-dir', this.store];
    const withoutOthers = ['sh', '-c', 'mkdir -p /var/lib/cni && mount --bind "$0" /var/lib/cni && exec "$@"', nothing];
    const argv = [...withoutOthers, join(OURS.bin, 'braid'), 'ipam', 'show', ...options];
    const pools = JSON.parse(await this.lab.run(argv)) as readonly Pool[];
    return pools.flatMap(({ pool, taken }) => taken.map(({ address, id }) => `${pool}: ${address} of ${id}`)).sort();
  }

  async everything(): Promise<Everything> {
    const [node, settings, pods, taken] = await Promise.all([
      pictureOf(this.lab, PARENT),
      this.lab.run(['sh', '-c', 'cd /proc/sys/net; grep -s "" ipv[46]/conf/nic*/* || true']),
      Promise.all(this.pods.map(({ name }) => stateOf(name))),
      this.taken(),
    ]);
    return { node, settings, pods, taken, cni: kept(this.cniDir), records: kept(this.records) };
  }

  expectAsBefore(before: Everything): Promise<void> {
    return eventually(() => this.everything(), before);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

const podArgs = (id: string): string =>
  `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${id};K8S_POD_INFRA_CONTAINER_ID=${id};K8S_POD_UID=u-${id}`;

const timed = ({ killAfterMs }: Calling) => (killAfterMs === undefined ? {} : { killAfterMs });

/** Files, also hidden ones; folders are made once and stay. */
const kept = (folder: string): readonly string[] => Object.keys(filesIn(folder)).filter((name) => !name.endsWith('/'));

/** Names of the interfaces of a pod. */
export async function interfacesIn(pod: Pod): Promise<readonly string[]> {
  return (await stateOf(pod.name)).links.map(({ ifname }) => String(ifname));
}
