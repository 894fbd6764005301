/** A node: containerd in namespaces of its own, on the links of a lab. All of it ends with one process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { globSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { execute, mustRun, type Outcome } from '../lab/execute.ts';
import type { Lab } from '../lab/lab.ts';
import { configOf, type Folders } from './config.ts';
import { Cri } from './cri.ts';
import { PAUSE_TAR, type RuntimePrograms } from './install.ts';
import { GiveUp, until } from './poll.ts';

const alive = new Set<ChildProcess>();

export class ContainerdNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly programs: RuntimePrograms;
  readonly cri: Cri;
  /** /var/lib/cni of the node */
  readonly stateDir: string;
  private readonly folders: Folders;
  private readonly cgroup: string;
  private child: ChildProcess | undefined;
  private init = '';

  private constructor(lab: Lab, programs: RuntimePrograms, folders: Pick<Folders, 'bin' | 'confDir'>) {
    const dir = lab.folder('node');
    this.lab = lab;
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
   */
  static async start(
    lab: Lab,
    programs: RuntimePrograms,
    folders: Pick<Folders, 'bin' | 'confDir'>,
  ): Promise<ContainerdNode> {
    const node = new ContainerdNode(lab, programs, folders);
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
    this.child = this.startInit();
    this.init = await until('the first process of the node', () => this.findInit());
    await until('containerd', () => this.importImage());
  }

  /** Kills containerd alone; it comes back at once, and its pods have lived on. */
  async crash(): Promise<void> {
    await mustRun(['kill', '-KILL', await this.containerdPid()]);
    await until('containerd to come back', async () => ((await this.cri.version()) === '' ? undefined : true));
  }

  /** Kills everything: no DEL is called. Disks and NICs stay. */
  async cutPower(): Promise<void> {
    const { child, init } = this;
    if (child === undefined) {
      return;
    }
    this.child = undefined;
    this.cri[Symbol.dispose]();
    child.kill('SIGKILL'); // unshare; the kernel then kills the first process of the node, and with it all others
    if (init !== '') {
      await until('the node to end', () => (isAlive(init) ? undefined : true));
    }
    alive.delete(child);
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
    return execute([...this.enter(), ...argv], execution);
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

  private enter(): readonly string[] {
    return ['nsenter', '-t', this.init, '--mount', '--net', '--pid'];
  }

  private startInit(): ChildProcess {
    const { dir, programs } = this.folders;
    const log = openSync(join(dir, 'log'), 'a');
    const argv = [
      ...['setpriv', '--pdeathsig', 'KILL'], // so that it ends with this process, however this ends
      ...['nsenter', `--net=/run/netns/${this.lab.node}`],
      ...['unshare', '--mount', '--propagation', 'slave', '--pid', '--fork', '--mount-proc', '--kill-child=KILL'],
      ...['bash', join(import.meta.dirname, 'node-init.sh'), dir],
    ];
    const [program = '', ...args] = argv;
    const system = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const path = `${programs}:${dirname(process.execPath)}:${system}`; // Node is for plugins in the form of scripts
    const env = { PATH: path, HOME: '/root', LC_ALL: 'C' };
    const child = spawn(program, args, { env, stdio: ['ignore', log, log] });
    alive.add(child);
    return child;
  }

  private findInit(): string | undefined {
    const { pid, exitCode, signalCode } = this.child ?? {};
    if (exitCode !== null || signalCode !== null) {
      throw new GiveUp(`the node has ended (${exitCode ?? signalCode}): ${this.log.slice(-2000)}`);
    }
    const [init] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return init === '' ? undefined : init;
  }

  private async importImage(): Promise<true> {
    const { dir, programs } = this.folders;
    this.findInit();
    const ctr = [join(programs, 'ctr'), '-a', join(dir, 'containerd.sock'), '-n', 'k8s.io'];
    await mustRun([...ctr, 'images', 'import', PAUSE_TAR]);
    return true;
  }

  private async containerdPid(): Promise<string> {
    const children = readFileSync(`/proc/${this.init}/task/${this.init}/children`, 'utf8').trim().split(' ');
    const found = children.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'containerd\n');
    if (found === undefined) {
      throw new Error('containerd does not run');
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

const isAlive = (pid: string): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

// before the lab takes its folder away
process.prependListener('exit', () => {
  for (const child of alive) {
    child.kill('SIGKILL');
  }
});
