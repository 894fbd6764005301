/** A node: containerd in namespaces of its own, on the links of a lab. All of it ends with one process. */
import { globSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { BASE_ENV, type Env, execute, mustRun, type Outcome } from '../lab/execute.ts';
import type { Lab } from '../lab/lab.ts';
import { configOf, type Folders } from './config.ts';
import { Cri } from './cri.ts';
import { PAUSE_TAR, type RuntimePrograms } from './install.ts';
import { childrenOf, Place } from './place.ts';
import { until } from './poll.ts';

export class ContainerdNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly programs: RuntimePrograms;
  readonly cri: Cri;
  /** /var/lib/cni of the node */
  readonly stateDir: string;
  private readonly folders: Folders;
  private readonly agent: string | undefined;
  private readonly cgroup: string;
  private place: Place | undefined;

  private constructor(
    lab: Lab,
    programs: RuntimePrograms,
    folders: Pick<Folders, 'bin' | 'confDir'>,
    agent: string | undefined,
  ) {
    const dir = lab.folder('node');
    this.lab = lab;
    this.agent = agent;
    this.programs = programs;
    this.folders = { dir, programs: programs.bin, ...folders };
    this.stateDir = join(dir, 'cni');
    this.cgroup = `/${lab.node}`;
    this.cri = new Cri(join(dir, 'containerd.sock'), this.cgroup);
  }

  /**
   * Starts a node that is ready for pods once it has a configuration.
   *
   * @param folders of plugins, which must have `loopback` in it, and of configurations
   * @param agent the program `braid`, when launchers are among the plugins
   */
  static async start(
    lab: Lab,
    programs: RuntimePrograms,
    folders: Pick<Folders, 'bin' | 'confDir'>,
    agent?: string,
  ): Promise<ContainerdNode> {
    const node = new ContainerdNode(lab, programs, folders, agent);
    writeFileSync(join(node.folders.dir, 'config.toml'), configOf(node.folders));
    try {
      await node.boot();
    } catch (error) {
      await node.cutPower();
      throw error;
    }
    return node;
  }

  /** After `cutPower`. What a node has in memory is gone. */
  async boot(): Promise<void> {
    const { dir } = this.folders;
    rmSync(join(dir, 'state'), { recursive: true, force: true });
    rmSync(join(dir, 'containerd.sock'), { force: true });
    this.place = await this.startPlace();
    await until('containerd', () => this.importImage());
  }

  /** Kills containerd alone; it comes back at once, and its pods have lived on. */
  async crash(): Promise<void> {
    await mustRun(['kill', '-KILL', await this.containerdPid()]);
    await until('containerd to come back', async () => ((await this.cri.version()) === '' ? undefined : true));
  }

  /** What an agent has in memory is gone: it is killed, and another one serves calls. */
  async forget(): Promise<void> {
    if (this.agent !== undefined) {
      const before = this.agentPid();
      await mustRun(['kill', '-KILL', before]);
      const socket = join(this.folders.dir, 'run/agent.sock');
      const { ino } = statSync(socket);
      await until('another agent', () => (statSync(socket).ino === ino ? undefined : true));
    }
  }

  /** Kills everything: no DEL is called. Disks and NICs stay. */
  async cutPower(): Promise<void> {
    const { place } = this;
    if (place === undefined) {
      return;
    }
    this.place = undefined;
    this.cri[Symbol.dispose]();
    await place.end();
    this.removeCgroups();
  }

  /** Where something that is below /run on the node is found from here. */
  pathHere(pathOnNode: string): string {
    return join('/proc', this.init, 'root', pathOnNode.replace(/^\/var\/run\//, '/run/'));
  }

  /** A pod's namespace for `ip -n`, which takes names in /run/netns only. */
  nameHere(netns: string): string {
    return relative('/run/netns', this.pathHere(netns));
  }

  /** Runs a program in the network namespace of a pod. */
  inPod(netns: string, argv: readonly string[]): Promise<Outcome> {
    return execute(['nsenter', `--net=${this.pathHere(netns)}`, ...argv]);
  }

  /** Runs a program on the node: in its namespaces, with its mounts. */
  execute(argv: readonly string[], execution: Parameters<typeof execute>[1] = {}): Promise<Outcome> {
    const { BRAID_AGENT } = this.agentEnv();
    const env = { ...(execution.env ?? BASE_ENV), ...(BRAID_AGENT === undefined ? {} : { BRAID_AGENT }) };
    return execute([...this.enter(), ...argv], { ...execution, env });
  }

  /** The socket of the CRI, and the words that start a shell on the node. */
  forPeople(): { readonly socket: string; readonly shell: readonly string[] } {
    return { socket: join(this.folders.dir, 'containerd.sock'), shell: [...this.enter(), 'bash'] };
  }

  /** What containerd, and plugins on stderr, have written since the start of the node. */
  get log(): string {
    return readFileSync(join(this.folders.dir, 'log'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cutPower();
  }

  private get init(): string {
    return this.place?.pid ?? '';
  }

  private enter(): readonly string[] {
    return ['nsenter', '-t', this.init, '--mount', '--net', '--pid'];
  }

  private startPlace(): Promise<Place> {
    const { dir, programs } = this.folders;
    const system = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const path = `${programs}:${dirname(process.execPath)}:${system}`; // Node is for plugins in the form of scripts
    return Place.start({
      within: ['nsenter', `--net=/run/netns/${this.lab.node}`],
      unshare: ['--mount', '--propagation', 'slave', '--mount-proc'],
      init: ['bash', join(import.meta.dirname, 'node-init.sh'), dir],
      env: { PATH: path, HOME: '/root', LC_ALL: 'C', ...this.agentEnv() },
      log: join(dir, 'log'),
    });
  }

  private agentEnv(): Env {
    return this.agent === undefined ? {} : { AGENT: this.agent, BRAID_AGENT: join(this.folders.dir, 'run/agent.sock') };
  }

  private async importImage(): Promise<true> {
    const { dir, programs } = this.folders;
    this.place?.demandAlive();
    const ctr = [join(programs, 'ctr'), '-a', join(dir, 'containerd.sock'), '-n', 'k8s.io'];
    await mustRun([...ctr, 'images', 'import', PAUSE_TAR]);
    return true;
  }

  private async containerdPid(): Promise<string> {
    const found = this.place?.children().find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'containerd\n');
    if (found === undefined) {
      throw new Error('containerd does not run');
    }
    return found;
  }

  private agentPid(): string {
    const shells = this.place?.children().flatMap((pid) => childrenOf(pid)) ?? [];
    const found = shells.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0agent\0'));
    if (found === undefined) {
      throw new Error('the agent does not run');
    }
    return found;
  }

  private removeCgroups(): void {
    for (const folder of globSync(`/sys/fs/cgroup/{.,*}/${basename(this.cgroup)}/{*,.}`)) {
      try {
        rmdirSync(folder.endsWith('/.') ? dirname(folder) : folder);
      } catch {
        // busy for a moment after the kill: it is empty, and costs nothing
      }
    }
  }
}
