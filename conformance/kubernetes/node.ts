/** A node: containerd and kubelet in namespaces of their own, with a root of their own. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { type ServerProcess, startProcess } from '../cluster/server-process.ts';
import { Cri } from '../containerd/cri.ts';
import { Place } from '../containerd/place.ts';
import { until } from '../containerd/poll.ts';
import { execute, mustRun, type Outcome } from '../lab/execute.ts';
import { placeFile } from '../lab/place-file.ts';
import type { AnyNode, Daemon } from './any-node.ts';
import { clearGroups, makeGroup } from './cgroups.ts';
import { CNI_BIN, CNI_CONF, containerdConfig, KUBERNETES, kubeletConfig, RUNTIME, SOCKET } from './configs.ts';
import type { Parts } from './install.ts';
import { addressOf, nameOf, plugIn } from './wires.ts';

export interface NodeWanted {
  readonly number: number;
  /** its own; on a disk */
  readonly folder: string;
  readonly control: Place;
  readonly parts: Parts;
  /** name of a group of its own */
  readonly cgroup: string;
}

/** What a node has for itself: nothing of the machine's is seen there. */
const OWN = ['/var/lib/containerd', '/var/lib/kubelet', '/var/lib/cni', '/etc/cni', '/etc/kubernetes', '/opt/cni'];

const INIT = ['bash', join(import.meta.dirname, 'node-init.sh')];

const PATH = [KUBERNETES, RUNTIME, '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export class Node implements AnyNode {
  readonly name: string;
  readonly run = mustRun;
  private readonly wanted: NodeWanted;
  private readonly groups: readonly string[];
  private readonly daemons = new Map<Daemon, ServerProcess>();
  private place: Place | undefined;
  private client: Cri | undefined;

  /** A node that is off, with an empty disk. */
  constructor(wanted: NodeWanted) {
    const { number, folder, cgroup } = wanted;
    this.name = `n${number}`;
    this.wanted = wanted;
    for (const name of ['disk', 'work', 'root', ...OWN.map((path) => join('own', path))]) {
      mkdirSync(join(folder, name), { recursive: true });
    }
    this.groups = makeGroup(cgroup);
    mkdirSync(this.onDisk(CNI_BIN));
    this.put('/etc/hosts', `127.0.0.1 localhost\n${addressOf(number)} ${this.name}\n`);
    this.put('/etc/resolv.conf', '');
    this.put('/etc/containerd/config.toml', containerdConfig());
    this.put('/etc/kubernetes/kubelet.json', JSON.stringify(kubeletConfig(`/${cgroup}`)));
  }

  /** Folders of cgroups, for whoever removes them in the end. */
  get cgroups(): readonly string[] {
    return this.groups;
  }

  async write(pathOnNode: string, text: string): Promise<void> {
    this.put(pathOnNode, text);
  }

  /** Puts programs into /opt/cni/bin, before the first boot. */
  installPlugins(paths: readonly string[]): void {
    for (const path of paths) {
      placeFile(path, join(this.onDisk(CNI_BIN), basename(path)));
    }
  }

  async boot(): Promise<void> {
    const { number, folder, control, parts } = this.wanted;
    const log = join(folder, 'place.log');
    writeFileSync(log, '');
    const place = await Place.start({
      unshare: ['--mount', '--propagation', 'slave', '--net', '--uts', '--ipc'],
      init: [...INIT, this.name, folder, parts.kubernetes, parts.runtime.bin, parts.runc, ...OWN],
      env: { PATH: PATH.join(':'), HOME: '/root', LC_ALL: 'C' },
      log,
    });
    this.place = place;
    await until('a node to have its root', () => {
      place.demandAlive();
      return /^ready$/m.test(readFileSync(log, 'utf8')) ? true : undefined;
    });
    await plugIn(control, place, number);
    await this.start('containerd');
    for (const image of parts.images) {
      await this.loadImage(image);
    }
  }

  /** @param tar of an image */
  async loadImage(tar: string): Promise<void> {
    const argv = this.entering(['ctr', '-n', 'k8s.io', 'images', 'import', '-']);
    await mustRun(argv, { stdin: readFileSync(tar), env: { PATH: PATH.join(':') } });
  }

  /** Gives an image another name too. */
  async nameImage(name: string, another: string): Promise<void> {
    await mustRun(this.entering(['ctr', '-n', 'k8s.io', 'images', 'tag', name, another]), {
      env: { PATH: PATH.join(':') },
    });
  }

  /** After a power cut: everything starts by itself. */
  async powerOn(): Promise<void> {
    await this.boot();
    await this.start('kubelet');
  }

  async start(daemon: Daemon): Promise<void> {
    const { folder, number } = this.wanted;
    const args = {
      containerd: [],
      kubelet: [
        '--config=/etc/kubernetes/kubelet.json',
        '--kubeconfig=/etc/kubernetes/kubelet.conf',
        `--hostname-override=${this.name}`,
        `--node-ip=${addressOf(number)}`,
        '--cert-dir=/var/lib/kubelet/pki',
      ],
    };
    const program = daemon === 'containerd' ? `${RUNTIME}/containerd` : `${KUBERNETES}/kubelet`;
    const enter = this.entering(['env', '-i', `PATH=${PATH.join(':')}`, 'HOME=/root', 'LC_ALL=C']);
    this.daemons.set(daemon, startProcess(program, args[daemon], folder, { enter, forks: true }));
    if (daemon === 'containerd') {
      await until('containerd', async () => ((await this.cri.version()) === '' ? undefined : true));
    }
  }

  /** Starts a program that runs until it is stopped, or as long as the node does. */
  startProgram(path: string, args: readonly string[], env: Readonly<Record<string, string>>): ServerProcess {
    const variables = Object.entries({ PATH: PATH.join(':'), ...env }).map(([name, value]) => `${name}=${value}`);
    const enter = this.entering(['env', '-i', ...variables]);
    return startProcess(path, args, this.wanted.folder, { enter, forks: true });
  }

  /** Ends a daemon, and starts it again. */
  async restart(daemon: Daemon, how: 'stop' | 'kill' = 'stop'): Promise<void> {
    await this.stop(daemon, how);
    await this.start(daemon);
  }

  async stop(daemon: Daemon, how: 'stop' | 'kill' = 'stop'): Promise<void> {
    await this.daemons.get(daemon)?.[how]();
    this.daemons.delete(daemon);
  }

  /** Kills everything at once: no DEL is called. The disk stays; what is in memory is gone. */
  async cutPower(): Promise<void> {
    const { place } = this;
    if (place === undefined) {
      return;
    }
    this.place = undefined;
    this.client?.[Symbol.dispose]();
    this.client = undefined;
    await place.end();
    await Promise.all([...this.daemons.values()].map((daemon) => daemon.kill()));
    this.daemons.clear();
    await clearGroups(this.groups);
    rmSync(join(this.wanted.folder, 'work'), { recursive: true, force: true });
    mkdirSync(join(this.wanted.folder, 'work'));
  }

  get isOn(): boolean {
    return this.place !== undefined;
  }

  get cri(): Cri {
    this.client ??= new Cri(this.pathHere(SOCKET));
    return this.client;
  }

  get netns(): string {
    return nameOf(this.demandPlace());
  }

  /** Where something on the node is found from here. */
  pathHere(pathOnNode: string): string {
    return join('/proc', this.demandPlace().pid, 'root', pathOnNode.replace(/^\/var\/run\//, '/run/'));
  }

  nameHere(netns: string): string {
    return relative('/run/netns', this.pathHere(netns));
  }

  async names(pathOnNode: string): Promise<readonly string[]> {
    const folder = this.pathHere(pathOnNode);
    const entries = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
    return entries.map((entry) => {
      const name = relative(folder, join(entry.parentPath, entry.name));
      return entry.isDirectory() ? `${name}/` : name;
    });
  }

  /** Runs a program on the node, in all its namespaces. */
  execute(argv: readonly string[], execution: Parameters<typeof execute>[1] = {}): Promise<Outcome> {
    return execute(this.entering(argv), { env: { PATH: PATH.join(':'), HOME: '/root', LC_ALL: 'C' }, ...execution });
  }

  lastWords(daemon: Daemon, lines = 20): string {
    const path = join(this.wanted.folder, `${daemon}.log`);
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : '';
  }

  /** Words that run a program on the node. */
  entering(argv: readonly string[]): readonly string[] {
    const { pid } = this.demandPlace();
    return ['nsenter', '-t', pid, '--mount', '--net', '--pid', '--uts', '--ipc', '--wdns=/', '--', ...argv];
  }

  private put(pathOnNode: string, text: string): void {
    const path = this.isOn ? this.pathHere(pathOnNode) : this.onDisk(pathOnNode);
    mkdirSync(join(path, '..'), { recursive: true });
    const part = join(path, '..', `.${basename(path)}.part`);
    writeFileSync(part, text, { mode: 0o600 });
    renameSync(part, path);
  }

  private onDisk(pathOnNode: string): string {
    const isOwn = OWN.some((path) => pathOnNode.startsWith(`${path}/`));
    return join(this.wanted.folder, isOwn ? 'own' : 'disk', pathOnNode);
  }

  private demandPlace(): Place {
    if (this.place === undefined) {
      throw new Error(`the node ${this.name} is off`);
    }
    return this.place;
  }
}

export const CONF_FILE = join(CNI_CONF, '00-multus.conflist');
