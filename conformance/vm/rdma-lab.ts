/** A node whose VFs have RDMA devices, and calls of the built plugin rdma for its pods. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Env, Outcome } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { killedAfter } from '../lab/steps.ts';
import { Node } from './node.ts';
import { rdmaDevicesOf } from './pci.ts';
import { RdmaDevice, rdmaDevices } from './rdma.ts';
import { until } from './until.ts';
import { type Vf, Vfs } from './vfs.ts';

export const STATES = '/var/lib/cni/rdma';

export type Conf = Readonly<Record<string, unknown>>;

export interface RdmaCall {
  readonly verb: string;
  /** the container is called as its namespace is */
  readonly pod?: Pod;
  /** CNI_NETNS instead of the pod's */
  readonly netns?: string;
  readonly conf: Conf;
  readonly plugin?: string;
  readonly args?: string;
  /** a folder that the program sees as /sys */
  readonly sysfs?: string;
  /** more variables of its environment */
  readonly env?: Env;
}

export type Failure = readonly [code: number, message: string];

/** Calls a built plugin on the node. */
export function callRdma(node: Node, request: RdmaCall): Promise<Outcome> {
  const { verb, pod, netns, plugin = 'rdma', conf, args, sysfs } = request;
  const env = {
    ...(pod === undefined ? {} : { CNI_CONTAINERID: pod.name, CNI_NETNS: netns ?? pod.path }),
    ...(args === undefined ? {} : { CNI_ARGS: args }),
    ...request.env,
  };
  return node.call({ verb, plugin, conf, env, ...(sysfs === undefined ? {} : { sysfs }) });
}

/** What a call says that must have failed. */
export function failureOf({ exitCode, stdout }: Outcome): Failure {
  if (exitCode !== 1) {
    throw new Error(`exit code ${exitCode}: ${stdout}`);
  }
  const { code, msg } = JSON.parse(stdout) as { code: number; msg: string };
  return [code, msg];
}

export class RdmaNode implements AsyncDisposable {
  readonly node: Node;
  readonly vfs: Vfs;
  private readonly stack: AsyncDisposableStack;
  private pods = 0;

  private constructor(node: Node, vfs: Vfs, stack: AsyncDisposableStack) {
    this.node = node;
    this.vfs = vfs;
    this.stack = stack;
  }

  /** So many VFs: `rdma0` is the RDMA device of VF 0, and so on. */
  static async open(count: number): Promise<RdmaNode> {
    await using stack = new AsyncDisposableStack();
    const node = stack.use(Node.open());
    const vfs = stack.use(await Vfs.make(count));
    for (const { id, link } of vfs.all) {
      await node.ip(`link set ${link} up`);
      stack.use(await RdmaDevice.make(rdmaOf(id), link));
    }
    stack.defer(() => rmSync(STATES, { recursive: true, force: true }));
    return new RdmaNode(node, vfs, stack.move());
  }

  pod(): Promise<Pod> {
    return this.node.pod(`pod${this.pods++}`);
  }

  vf(id: number): Vf {
    return this.vfs.at(id);
  }

  conf(id: number, more: Conf = {}): Conf {
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'net1' }] };
    return { cniVersion: '1.1.0', name: 'blue', type: 'rdma', deviceID: this.vf(id).pci, prevResult, ...more };
  }

  /** As the Go plugin writes it. */
  goState(id: number): string {
    const [device, name] = [this.vf(id).pci, rdmaOf(id)];
    return `{"version":"1.0","deviceID":"${device}","sandboxRdmaDevName":"${name}","containerRdmaDevName":"${name}"}`;
  }

  /** Calls the plugin, with the configuration for VF 0 unless told otherwise. */
  call(request: Partial<RdmaCall>): Promise<Outcome> {
    return callRdma(this.node, { verb: '', ...request, conf: request.conf ?? this.conf(0) });
  }

  /** The same, with SIGKILL after an effect: see ../steps.ts. */
  async killedAfter(last: number, request: Partial<RdmaCall>): Promise<Outcome> {
    return this.call({ ...request, env: await killedAfter('rdma', this.node.dir, last) });
  }

  /** A call that must succeed; what it prints, read. */
  async must(request: Partial<RdmaCall>): Promise<Conf> {
    const { exitCode, signal, stdout, stderr } = await this.call(request);
    if (exitCode !== 0) {
      throw new Error(`${request.verb}: ${signal ?? exitCode}: ${stdout}${stderr}`);
    }
    return stdout === '' ? {} : (JSON.parse(stdout) as Conf);
  }

  /** A call that must fail; its code and its message. */
  async fails(request: Partial<RdmaCall>): Promise<Failure> {
    return failureOf(await this.call(request));
  }

  /** Ends a pod, and waits until the kernel has brought back what it had. */
  async end(pod: Pod, id = 0): Promise<void> {
    await this.node.remove(pod);
    await this.untilBack(id);
  }

  async untilBack(id: number): Promise<void> {
    await until(`the RDMA device of VF ${id} is back`, () => rdmaDevicesOf(this.vf(id).pci).length > 0);
  }

  /** What RDMA devices the node has and what files the plugin: all and none is how it should be without attachments. */
  async picture(): Promise<{ readonly devices: readonly string[]; readonly states: readonly string[] }> {
    return { devices: await rdmaDevices(), states: Object.keys(states()) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}

export const rdmaOf = (id: number): string => `rdma${id}`;

/** Every file in the folder of states, hidden ones too, with its content. */
export const states = (): Readonly<Record<string, string>> =>
  existsSync(STATES)
    ? Object.fromEntries(readdirSync(STATES).map((name) => [name, readFileSync(join(STATES, name), 'utf8')]))
    : {};

export const stateOf = (pod: Pod, network = 'blue'): string => `${network}-${pod.name}-net1`;

export function writeState(name: string, content: string): void {
  mkdirSync(STATES, { recursive: true, mode: 0o700 });
  writeFileSync(join(STATES, name), content);
}

/** A folder like /sys with a device on the auxiliary bus that has these RDMA devices. */
export function fakeSysfs(node: Node, device: string, names: readonly string[]): string {
  const root = mkdtempSync(join(node.dir, 'sys-'));
  for (const name of names) {
    mkdirSync(join(root, 'bus/auxiliary/devices', device, 'infiniband', name), { recursive: true });
  }
  return root;
}
