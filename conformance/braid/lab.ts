/** `braid`, the command for people, on a node of its own. */
import { randomInt } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { BASE_ENV, type Outcome } from '../lab/execute.ts';
import { cnitool, Lab, PARENT, type Pod, writeNetwork } from '../lab/lab.ts';
import { OURS, SCRIPT, STANDALONE } from '../lab/programs.ts';
import { Store } from '../lab/store.ts';

/** What runtimes call the first interface. */
export const OUTER = 'eth0';

/** A node whose folders for configurations, records and plugins are its own. */
export class BraidNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly bin: string;
  readonly confDir: string;
  readonly cacheDir: string;
  readonly store: string;
  /**
   * First three bytes of addresses that nobody else on the machine has: `10.113.7`. `braid` looks for addresses in all of
   * the machine's namespaces.
   */
  readonly net: string;
  /** others, for a second network */
  readonly otherNet: string;
  /** a folder that the node sees as /sys */
  sysfs: string | undefined;
  private configured = '';

  private constructor(lab: Lab) {
    this.lab = lab;
    this.bin = join(lab.dir, 'bin');
    this.confDir = lab.folder('net.d');
    this.cacheDir = lab.folder('cni');
    this.store = join(lab.dir, 'store');
    const net = `10.${randomInt(64, 224)}`;
    const third = randomInt(0, 127) * 2;
    this.net = `${net}.${third}`;
    this.otherNet = `${net}.${third + 1}`;
  }

  /** The range of its networks. */
  get range(): string {
    return `${this.net}.0/24`;
  }

  static async open(): Promise<BraidNode> {
    return new BraidNode(await Lab.open());
  }

  /** `braid …` as people call it. */
  braid(command: string, form: 'standalone' | 'script' = 'standalone'): Promise<Outcome> {
    return this.run(join(form === 'standalone' ? STANDALONE : SCRIPT, 'braid'), command);
  }

  run(program: string, command: string): Promise<Outcome> {
    return this.lab.execute([...this.withOwnState(), ...this.withOwnSysfs(), program, ...command.split(' ')], {
      env: BASE_ENV,
      cwd: this.lab.dir,
    });
  }

  /** A command about the node, told where its folders are. */
  about(command: string, more = ''): Promise<Outcome> {
    const folders = `--conf-dir ${this.confDir} --cache-dir ${this.cacheDir}`;
    return this.braid(`${command} ${folders} ${more}`.trim());
  }

  /** What a command prints with --json. */
  async json<T>(command: string, exitCode = 0): Promise<T> {
    const outcome = await this.about(command, '--json');
    expect(outcome, outcome.stderr).toMatchObject({ exitCode });
    return JSON.parse(outcome.stdout) as T;
  }

  /** Makes a network the node's only configuration. */
  configure(network: object): void {
    for (const name of readdirSync(this.confDir)) {
      rmSync(join(this.confDir, name));
    }
    const { name, cniVersion, plugins } = network as {
      readonly name: string;
      readonly cniVersion: string;
      readonly plugins: readonly object[];
    };
    this.configured = name;
    writeNetwork(this.lab, name, cniVersion, plugins);
  }

  /**
   * Attaches a pod to the configured network, or detaches it, as a runtime does: libcni records it in `cacheDir`.
   *
   * @param folders with more plugins
   */
  cnitool(verb: 'add' | 'del', pod: Pod, folders: readonly string[] = []): Promise<Outcome> {
    const env = {
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${pod.name}`,
      CNI_PATH: [...folders, ...OURS.path].join(':'),
    };
    return cnitool(this.lab, verb, this.configured, pod, {
      confDir: this.confDir,
      ifName: OUTER,
      env,
      wrapper: this.withOwnState(),
    });
  }

  /** whereabouts by itself, with the node's store. */
  whereabouts(ipam: object): Store {
    return new Store(this.lab, ipam);
  }

  /** A network that gives the lab's link away. */
  hostDevice(): object {
    const plugin = { type: 'host-device', device: PARENT, dataDir: join(this.lab.dir, 'devices') };
    return { cniVersion: '1.1.0', name: 'node', plugins: [plugin] };
  }

  /** A network of one macvlan with addresses of the node's store. */
  network(name: string, ipam: object = {}, more: object = {}): object {
    const own = { type: 'whereabouts', datastore: 'file', data_dir: this.store, range: this.range, ...ipam };
    return { cniVersion: '1.1.0', name, plugins: [{ type: 'macvlan', master: PARENT, ipam: own, ...more }] };
  }

  /** multus with these networks. */
  multus(delegates: readonly object[], more: object = {}): object {
    const cniDir = join(this.lab.dir, 'multus');
    mkdirSync(cniDir, { recursive: true });
    return {
      cniVersion: '1.1.0',
      name: 'node',
      plugins: [{ type: 'multus', cniDir, binDir: STANDALONE, delegates, ...more }],
    };
  }

  pod(): Promise<Pod> {
    return this.lab.pod();
  }

  /** /var/lib/cni is `cacheDir` for what is executed with this. */
  /** Words in front of a command: it has this node's folder of records. */
  withOwnState(): readonly string[] {
    return ['sh', '-c', 'mkdir -p /var/lib/cni && mount --bind "$0" /var/lib/cni && exec "$@"', this.cacheDir];
  }

  private withOwnSysfs(): readonly string[] {
    return this.sysfs === undefined ? [] : ['sh', '-c', 'mount --bind "$0" /sys && exec "$@"', this.sysfs];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}
