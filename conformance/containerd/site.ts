/** A node with plugins and a configuration, and what tests ask of its pods. */
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { BASE_ENV, type Outcome } from '../lab/execute.ts';
import { Lab } from '../lab/lab.ts';
import { placeFile } from '../lab/place-file.ts';
import { DIST, GO, PLUGINS, STANDALONE } from '../lab/programs.ts';
import { type Reservation, reservationsIn } from '../lab/reservations.ts';
import { IS_RESIDENT } from '../lab/resident.ts';
import { addressTexts, comparable, filesIn, stateOf } from '../lab/state.ts';
import type { Cri, PodSpec } from './cri.ts';
import { type RuntimePrograms, runtimes } from './install.ts';
import { ContainerdNode } from './node.ts';
import { until } from './poll.ts';

export interface Pod {
  readonly name: string;
  /** of the sandbox: CNI_CONTAINERID */
  readonly id: string;
  /** CNI_NETNS */
  readonly netns: string;
  /** as the CRI has them */
  readonly ips: readonly string[];
}

export interface SiteOptions {
  /** paths of programs, besides `loopback` */
  readonly plugins?: readonly string[];
  /** the newest that the runtime takes unless told */
  readonly cniVersion?: string;
}

interface Folders {
  readonly bin: string;
  readonly confDir: string;
}

const BRAID = join(STANDALONE, 'braid');

/** In the resident form, launchers without a program beside them: nothing but the agent can have done their calls. */
const OUR_PROGRAMS = [BRAID, ...PLUGINS.map((name) => join(IS_RESIDENT ? join(DIST, 'resident') : STANDALONE, name))];

/** The plugins of a network, in order. */
export type Plugins = readonly Readonly<Record<string, unknown>>[];

/** The name of the network of each node. */
const NETWORK = 'node';

export const RUNTIMES = runtimes();

export class Site implements AsyncDisposable {
  readonly lab: Lab;
  readonly node: ContainerdNode;
  readonly bin: string;
  /** the newest that the runtime takes results of: containerd 1 knows no 1.1.0 */
  readonly cniVersion: string;
  private readonly confDir: string;
  private configurations = 0;

  private constructor(lab: Lab, node: ContainerdNode, folders: Folders, cniVersion: string) {
    this.lab = lab;
    this.node = node;
    this.bin = folders.bin;
    this.confDir = folders.confDir;
    this.cniVersion = cniVersion;
  }

  /** A node with plugins, those of this build unless told, and no configuration yet. */
  static async open(
    programs: RuntimePrograms,
    { plugins = OUR_PROGRAMS, cniVersion }: SiteOptions = {},
  ): Promise<Site> {
    const lab = await Lab.open();
    try {
      const folders = { bin: lab.folder('bin'), confDir: lab.folder('net.d') };
      for (const path of [...plugins, join(GO.bin, 'loopback')]) {
        placeFile(path, join(folders.bin, basename(path)));
      }
      const newest = programs.name === 'containerd 1' ? '1.0.0' : '1.1.0';
      const node = await ContainerdNode.start(lab, programs, folders, IS_RESIDENT ? BRAID : undefined);
      return new Site(lab, node, folders, cniVersion ?? newest);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get cri(): Cri {
    return this.node.cri;
  }

  /** Writes the configuration of the node, and waits until the runtime has read it. */
  async configure(plugins: Plugins): Promise<void> {
    const mark = `configuration-${++this.configurations}`;
    const part = join(this.confDir, 'part');
    const [first, ...others] = plugins; // a list has no key for anything else
    const marked = [{ ...first, args: { mark } }, ...others];
    writeFileSync(part, JSON.stringify({ cniVersion: this.cniVersion, name: NETWORK, plugins: marked }));
    renameSync(part, join(this.confDir, '10-node.conflist'));
    await until('the runtime to read its configuration', async () => {
      const { conditions, info } = await this.cri.status();
      const isReady = conditions.some(({ type, status }) => type === 'NetworkReady' && status);
      return isReady && JSON.stringify(info).includes(mark) ? true : undefined;
    });
  }

  async run(spec: PodSpec): Promise<Pod> {
    const id = await this.cri.run(spec);
    const { netns, ips } = await this.cri.sandbox(id);
    return { name: spec.name, id, netns, ips };
  }

  async remove({ id }: Pick<Pod, 'id'>): Promise<void> {
    await this.cri.stop(id);
    await this.cri.remove(id);
  }

  /** Whatever the runtime knows of: also what it has kept of pods that did not start. */
  async removeAll(): Promise<void> {
    await Promise.all(Object.values(await this.cri.list()).map((id) => this.remove({ id })));
  }

  /** `10.5.0.1/24` of an interface of a pod, as the kernel has them. */
  async addresses(pod: Pod, ifName: string): Promise<readonly string[]> {
    return addressTexts(await this.stateOf(pod), ifName);
  }

  /** Links, addresses and routes in a pod. */
  stateOf(pod: Pod) {
    return stateOf(this.node.nameHere(pod.netns));
  }

  /** A pod's packets reach an address, over an interface. */
  async reach(pod: Pod, ifName: string, address: string): Promise<void> {
    const ping = ['ping', '-c', '1', '-W', '1', '-I', ifName, address];
    await until(`${pod.name} to reach ${address} over ${ifName}`, async () => {
      const { exitCode, stdout, stderr } = await this.node.inPod(pod.netns, ping);
      if (exitCode !== 0) {
        throw new Error(stdout + stderr);
      }
      return true;
    });
  }

  /** What whereabouts has on disk. */
  reservations(): readonly Reservation[] {
    return reservationsIn(join(this.node.stateDir, 'whereabouts'));
  }

  /** All that pods may leave: reservations, files of plugins and of libcni, links of the node, namespaces. */
  async everything() {
    const files = Object.keys(filesIn(this.node.stateDir));
    const { links, addresses, routes } = comparable(await stateOf(this.lab.node));
    return {
      reservations: this.reservations(),
      files: files.filter((name) => !name.startsWith('whereabouts/') && !name.endsWith('/')),
      node: { links, addresses, routes },
      namespaces: readdirSync(this.node.pathHere('/run/netns')),
      sandboxes: await this.cri.list(),
    };
  }

  /** Does something after which all is as it was. */
  async leavesNothing(work: () => Promise<void>): Promise<void> {
    const before = await this.everything();
    expect(before).toMatchObject({ reservations: [], files: [], namespaces: [], sandboxes: {} });
    await work();
    expect(await this.everything()).toEqual(before);
  }

  /** Calls GC of a plugin as a runtime could: with the sandboxes that it knows. */
  async collect(plugin: Plugins[number]): Promise<void> {
    const attachments = Object.values(await this.cri.list()).map((containerID) => ({ containerID, ifname: 'eth0' }));
    const conf = { ...plugin, cniVersion: '1.1.0', name: NETWORK, 'cni.dev/valid-attachments': attachments };
    const { exitCode, stdout, stderr } = await this.node.execute([join(this.bin, String(plugin['type']))], {
      env: { ...BASE_ENV, CNI_COMMAND: 'GC', CNI_PATH: this.bin },
      stdin: JSON.stringify(conf),
    });
    expect({ exitCode, stdout }, stderr).toEqual({ exitCode: 0, stdout: '' });
  }

  /** `braid …` on the node, about this node. */
  braid(...words: readonly string[]): Promise<Outcome> {
    return this.node.execute([join(this.bin, 'braid'), ...words, '--conf-dir', this.confDir]);
  }

  /** The same for commands that ask the runtime which containers live. */
  braidAsking(...words: readonly string[]): Promise<Outcome> {
    return this.braid(...words, '--cri', this.node.forPeople().socket, '--wait', '0');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
    await this.lab[Symbol.asyncDispose]();
  }
}
