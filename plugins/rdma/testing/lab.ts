import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Verb } from '../../../lib/cni/call.ts';
import type { Plugin } from '../../../lib/cni/plugin.ts';
import { type Outcome, runPlugin } from '../../../lib/cni/run.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { callEnv } from '../../../lib/cni/testing/fake-node.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { parseMac } from '../../../lib/net/mac.ts';
import { many, nest, raw, table } from '../../../lib/netlink/attributes.ts';
import { decodeLink, encodeLink, type LinkAttributes } from '../../../lib/netlink/codec/link.ts';
import { Conversation } from '../../../lib/netlink/conversation.ts';
import { FakeTransport } from '../../../lib/netlink/testing/fake-transport.ts';
import type { Transport } from '../../../lib/netlink/transport.ts';
import { type Netns, NetnsMissing, NotANetns } from '../../../lib/netns/netns.ts';
import { FakeRdma } from '../../../lib/rdma/testing/fake-rdma.ts';
import { type Temporary, temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { rdma } from '../plugin.ts';

export const HOST = '/host';
export const POD = '/pod';
export const VF = '0000:01:10.2';
export const PF = '0000:01:00.0';

/** A link of the fake kernel: attributes, and the administrative addresses of its VFs, by VF number. */
interface FakeLink extends LinkAttributes {
  readonly vfMacs?: readonly string[];
}

/**
 * A node with one PF, `eth0`, and its two VFs, the second with the RDMA device `mlx5_9`; sysfs in a folder, a fake
 * kernel of a few tables.
 */
export class Lab implements Disposable {
  readonly kernel = new FakeRdma();
  readonly log: string[] = [];
  /** links by namespace and name */
  readonly links = new Map<string, FakeLink>();
  /** error on opening a namespace, by path */
  readonly broken = new Map<string, Error>();
  /** paths that lead to the host's namespace */
  readonly aliases = new Set([HOST]);
  private readonly folder: Temporary = temporaryFolder();

  constructor() {
    const devices = 'devices/pci0000:00';
    this.sysfs([
      `${devices}/${PF}/net/eth0`,
      `${devices}/${PF}/virtfn0 -> ../0000:01:10.0`,
      `${devices}/${PF}/virtfn1 -> ../${VF}`,
      `${devices}/0000:01:10.0/driver -> ../../../bus/pci/drivers/vfio-pci`,
      `${devices}/${VF}/driver -> ../../../bus/pci/drivers/mlx5_core`,
      `class/net/eth0 -> ../../${devices}/${PF}/net/eth0`,
      `${devices}/${PF}/net/eth0/device -> ../..`,
      ...[PF, '0000:01:10.0', VF].map((name) => `bus/pci/devices/${name} -> ../../../${devices}/${name}`),
    ]);
    this.addRdma(VF, 'mlx5_9');
    this.links.set(`${HOST} eth0`, { vfMacs: ['00:00:00:00:00:00', '02:00:00:00:00:99'] });
    this.links.set(`${POD} net1`, { address: Buffer.from(parseMac('02:00:00:00:00:99') ?? []) });
    this.descriptors();
  }

  get dataDir(): string {
    return join(this.folder.path, 'states');
  }

  get sysfsRoot(): string {
    return join(this.folder.path, 'sys');
  }

  /** Content of the state folder. */
  get files(): Readonly<Record<string, string>> {
    return existsSync(this.dataDir)
      ? Object.fromEntries(
          readdirSync(this.dataDir).map((name) => [name, readFileSync(join(this.dataDir, name), 'utf8')]),
        )
      : {};
  }

  /** Makes folders, files (`path = content`) and symlinks (`path -> target`) below the root of sysfs. */
  sysfs(entries: readonly string[]): void {
    for (const entry of entries) {
      const [path = '', target] = entry.split(' -> ');
      const [name = '', content] = path.split(' = ');
      const place = join(this.sysfsRoot, name);
      mkdirSync(target === undefined && content === undefined ? place : dirname(place), { recursive: true });
      if (target !== undefined) {
        symlinkSync(target, place);
      } else if (content !== undefined) {
        writeFileSync(place, `${content}\n`);
      }
    }
  }

  /** Adds an RDMA device below a PCI function. */
  addRdma(address: string, name: string, path = HOST): void {
    this.kernel.devices.set(name, path);
    const folder = `devices/pci0000:00/${address}`;
    this.sysfs([`${folder}/infiniband_verbs/uverbs-${name}/ibdev = ${name}`, `${folder}/infiniband`]);
    this.showRdma(address);
  }

  /** Updates the host's sysfs as the kernel does when a device moves. */
  showRdma(address = VF): void {
    const folder = join(this.sysfsRoot, 'bus/pci/devices', address);
    for (const verbs of readdirSync(join(folder, 'infiniband_verbs'))) {
      const name = verbs.replace('uverbs-', '');
      const entry = join(folder, 'infiniband', name);
      if (this.kernel.devices.get(name) === HOST) {
        mkdirSync(entry, { recursive: true });
      } else {
        rmSync(entry, { recursive: true, force: true });
      }
    }
  }

  /** Removes the character device, as if the module ib_uverbs were not loaded. */
  removeVerbs(address = VF): void {
    rmSync(join(this.sysfsRoot, 'bus/pci/devices', address, 'infiniband_verbs'), { recursive: true });
  }

  writeState(name: string, content: string): void {
    mkdirSync(this.dataDir, { recursive: true });
    writeFileSync(join(this.dataDir, name), content);
  }

  conf(more: object = {}): object {
    const prevResult = {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'net1', mac: '02:00:00:00:00:99', sandbox: POD }],
      ips: [{ address: '192.0.2.9/24', interface: 0, gateway: '192.0.2.1' }],
    };
    return {
      cniVersion: '1.1.0',
      name: 'blue',
      type: 'rdma',
      dataDir: this.dataDir,
      deviceID: VF,
      prevResult,
      ...more,
    };
  }

  async run(verb: Verb, conf: object = this.conf(), env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    const outcome = await runPlugin(
      rdma as unknown as Plugin,
      {
        env: {
          ...callEnv(verb, POD),
          CNI_PATH: '/opt/cni/bin',
          ...(isAboutOne(verb) ? { CNI_IFNAME: 'net1' } : {}),
          ...env,
        },
        readStdin: () => Buffer.from(JSON.stringify(conf)),
      },
      this.scope(),
    );
    this.showRdma();
    return outcome;
  }

  /** Runs a call that must succeed; returns its parsed output. */
  async must(verb: Verb, conf: object = this.conf(), env: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const { stdout, exitCode } = await this.run(verb, conf, env);
    if (exitCode !== 0) {
      throw new Error(stdout);
    }
    return stdout === '' ? undefined : JSON.parse(stdout);
  }

  /** Runs a call that must fail. */
  async fails(verb: Verb, conf: object = this.conf(), env: Readonly<Record<string, string>> = {}): Promise<Failure> {
    const { stdout, exitCode } = await this.run(verb, conf, env);
    if (exitCode === 0) {
      throw new Error(`${verb} succeeds: ${stdout}`);
    }
    return JSON.parse(stdout) as Failure;
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }

  private descriptors(): void {
    for (const path of [HOST, POD]) {
      this.kernel.descriptorOf(path);
    }
  }

  private scope(): Scope {
    return fakeScope({
      node: { host: this.netns(HOST), sysfs: this.sysfsRoot, openNetns: (path) => this.netns(path) },
      log: (line) => void this.log.push(line),
    });
  }

  private netns(path: string): Netns {
    const failure = this.broken.get(path);
    if (failure !== undefined) {
      throw failure;
    }
    const { kernel } = this;
    const where = this.aliases.has(path) ? HOST : path;
    const netlink = new Conversation(() => this.linkTransport(where));
    const netns = {
      path,
      identity: where,
      cookie: undefined,
      descriptor: kernel.descriptorOf(where),
      netlink,
      get rdmaNetlink() {
        return kernel.netlink(where);
      },
      isSameAs: (other: Netns) => other.identity === where,
      [Symbol.dispose]: () => undefined,
    };
    return netns as unknown as Netns;
  }

  /** Answers look-ups by name, and by index, which is the position in the table. */
  private linkTransport(path: string): Transport {
    let answer: FakeTransport;
    return {
      send: (bytes) => {
        const { index, attributes } = decodeLink(bytes.subarray(16));
        const keys = [...this.links.keys()];
        const key = index > 0 ? (keys[index - 1] ?? '') : `${path} ${attributes.ifName}`;
        const link = this.links.get(key);
        answer = new FakeTransport([
          link === undefined
            ? [{ type: 2, body: refusal(19) }]
            : [{ type: 16, body: bodyOf(keys.indexOf(key) + 1, key.split(' ')[1] ?? '', link) }],
        ]);
        answer.send(bytes);
      },
      sendInBackground: () => Promise.reject(new Error('not faked')),
      receive: (operation) => answer.receive(operation),
      receiveInBackground: () => Promise.reject(new Error('not faked')),
      close: () => undefined,
    };
  }
}

interface Failure {
  readonly code: number;
  readonly msg: string;
}

export const missing = (path: string): Error => new NetnsMissing(path);
export const noNetns = (path: string): Error => new NotANetns(path);

const isAboutOne = (verb: Verb): boolean => !['GC', 'STATUS', 'VERSION'].includes(verb);

const VfTable = table({ mac: [1, raw] });
const VfListTable = table({ vfs: [1, many(nest(VfTable))] });

function bodyOf(index: number, ifName: string, { vfMacs = [], ...attributes }: FakeLink): Buffer {
  const vfs = vfMacs.map((mac, number) => ({ mac: vfMac(number, mac) }));
  const unknown = new Map(vfs.length === 0 ? [] : [[22, Buffer.concat(VfListTable.encode({ vfs }))]]);
  return Buffer.concat(encodeLink({ index }, { ifName, ...attributes, unknown }));
}

/** struct ifla_vf_mac */
function vfMac(number: number, mac: string): Buffer {
  const bytes = Buffer.alloc(36);
  bytes.writeUInt32LE(number);
  bytes.set(parseMac(mac) ?? [], 4);
  return bytes;
}

function refusal(errno: number): Buffer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno);
  return body;
}
