/** A place to try plugins in: a namespace that plays the node, others that play pods, a folder. All end with it. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Env, execute, mustRun, type Outcome } from './execute.ts';
import { type Call, envOf, GO, OURS, type Side, stdinOf } from './programs.ts';
import { type Place, ResidentForm } from './resident.ts';
import { demandDescribed } from './schemas.ts';

export interface Pod {
  /** of its namespace, for `ip -n` */
  readonly name: string;
  /** CNI_NETNS */
  readonly path: string;
}

/** The link of the node that macvlans are put on, and its other end. */
export const PARENT = 'par';
export const PARENT_PEER = 'par-peer';
export const PARENT_MAC = '02:00:00:00:00:01';
const PARENT_PEER_MAC = '02:00:00:00:00:02';

/** On a machine with far too much to do. */
const ADDRESSED_MS = 120_000;

const alive = new Set<Lab>();

const hasRoute = (routes: string, begin: string, link: string): boolean =>
  routes.split('\n').some((line) => line.startsWith(begin) && line.includes(` dev ${link} `));

export class Lab implements AsyncDisposable {
  /** namespace in which plugins run */
  readonly node: string;
  /** a folder for stores and configurations */
  readonly dir: string;
  /** of all names that it gives */
  readonly prefix: string;
  private readonly namespaces: string[] = [];
  private readonly mounts: string[] = [];
  /** the form in which its calls are done */
  readonly resident: ResidentForm;
  private pods = 0;

  private constructor(isResident: boolean | undefined) {
    this.prefix = `braid-${randomBytes(4).toString('hex')}`;
    this.node = `${this.prefix}-node`;
    this.dir = mkdtempSync(join(tmpdir(), `${this.prefix}-`));
    this.resident = new ResidentForm(['ip', 'netns', 'exec', this.node], this, isResident);
  }

  /**
   * A lab whose node has one parent link, up.
   *
   * @param isResident whether calls go to an agent; default: as BRAID_FORM says
   */
  static async open({ isResident }: { readonly isResident?: boolean } = {}): Promise<Lab> {
    const lab = new Lab(isResident);
    alive.add(lab);
    try {
      await lab.namespace(lab.node);
      await lab.sysctl(lab.node, 'net/ipv6/conf/default/accept_dad', '0'); // nothing changes by itself later
      const peer = `type veth peer name ${PARENT_PEER} address ${PARENT_PEER_MAC}`;
      await lab.ip(lab.node, `link add ${PARENT} address ${PARENT_MAC} ${peer}`);
      await lab.ip(lab.node, `link set ${PARENT} up`);
      await lab.ip(lab.node, `link set ${PARENT_PEER} up`);
      await lab.untilAddressed([PARENT, PARENT_PEER]);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw new Error(
        `cannot make a lab (this tier needs root, iproute2, and a kernel with veth and macvlan): ${error}`,
      );
    }
    return lab;
  }

  /** The kernel gives links their own addresses some time after they were put up: a picture must not be taken between. */
  private async untilAddressed(links: readonly string[]): Promise<void> {
    const deadline = performance.now() + ADDRESSED_MS;
    while (existsSync('/proc/sys/net/ipv6')) {
      const routes = await this.ip(this.node, '-6 route show table local'); // they come last
      if (links.every((link) => ['local fe80:', 'multicast ff00::/8'].every((one) => hasRoute(routes, one, link)))) {
        return;
      }
      if (performance.now() > deadline) {
        throw new Error(`${links.join(' and ')} have no link-local routes after ${ADDRESSED_MS} ms:\n${routes}`);
      }
      await sleep(5);
    }
  }

  /** Another namespace. IPv6 addresses are ready at once there, unless duplicates shall be detected. */
  async pod({ detectsDuplicates = false, name = `${this.prefix}-pod${++this.pods}` } = {}): Promise<Pod> {
    await this.namespace(name);
    if (!detectsDuplicates) {
      await this.sysctl(name, 'net/ipv6/conf/default/accept_dad', '0');
    }
    return { name, path: `/run/netns/${name}` };
  }

  /** A namespace ends before its lab. */
  async remove(pod: Pod): Promise<void> {
    await mustRun(['ip', 'netns', 'del', pod.name]);
    this.namespaces.splice(this.namespaces.indexOf(pod.name), 1);
  }

  /** `ip -n namespace …`, words separated by blanks. */
  ip(namespace: string, command: string): Promise<string> {
    return mustRun(['ip', '-n', namespace, ...command.split(' ')]);
  }

  async sysctl(namespace: string, name: string, value: string): Promise<void> {
    await this.run(['sh', '-c', `echo ${value} > /proc/sys/${name}`], {}, namespace);
  }

  /** Runs a program on the node. */
  execute(argv: readonly string[], execution: Parameters<typeof execute>[1] = {}, namespace = this.node) {
    return execute(['ip', 'netns', 'exec', namespace, ...argv], execution);
  }

  /** Runs a program on the node that must succeed. */
  run(argv: readonly string[], execution: Parameters<typeof execute>[1] = {}, namespace = this.node) {
    return mustRun(['ip', 'netns', 'exec', namespace, ...argv], execution);
  }

  /** Calls a plugin on the node. What ours takes, its published schema must describe. */
  async call(call: Call, side: Side = OURS, { killAfterMs }: { readonly killAfterMs?: number } = {}): Promise<Outcome> {
    const all = envOf(side, call);
    const wrapper = seeing(call.sysfs);
    const work = ({ bin, env }: Place): Promise<Outcome> =>
      this.execute([...wrapper, join(bin, call.plugin)], {
        env: { ...all, ...env },
        stdin: stdinOf(call.conf),
        cwd: this.dir,
        ...(killAfterMs === undefined ? {} : { killAfterMs }),
      });
    const own: Place = { bin: side.bin, env: {} };
    const outcome =
      side === OURS ? await this.resident.call(all, wrapper, (place) => work(place ?? own)) : await work(own);
    if (side === OURS && call.verb === 'ADD' && outcome.exitCode === 0) {
      demandDescribed(call.plugin, call.conf);
    }
    return outcome;
  }

  /** A folder in the lab's own. */
  folder(name: string): string {
    const path = join(this.dir, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Mounts a small file system of its own on a new folder. */
  async smallDisk(name: string, size = '64k'): Promise<string> {
    const path = this.folder(name);
    await mustRun(['mount', '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]);
    this.mounts.push(path);
    return path;
  }

  /** Makes a folder read-only, for root too. */
  async makeReadOnly(path: string): Promise<void> {
    await mustRun(['mount', '--bind', path, path]);
    this.mounts.push(path);
    await mustRun(['mount', '-o', 'remount,bind,ro', path]);
  }

  async makeWritable(path: string): Promise<void> {
    await mustRun(['mount', '-o', 'remount,bind,rw', path]);
  }

  /** For what is left when the process ends before its labs. */
  endNow(): void {
    this.resident[Symbol.dispose]();
    for (const path of this.mounts.toReversed()) {
      spawnSync('umount', ['-l', path]);
    }
    for (const name of this.namespaces) {
      spawnSync('ip', ['netns', 'del', name]);
    }
    rmSync(this.dir, { recursive: true, force: true });
    alive.delete(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resident[Symbol.dispose]();
    for (const path of this.mounts.toReversed()) {
      await execute(['umount', '-l', path]);
    }
    this.mounts.length = 0;
    await Promise.all(this.namespaces.map((name) => execute(['ip', 'netns', 'del', name])));
    this.namespaces.length = 0;
    rmSync(this.dir, { recursive: true, force: true });
    alive.delete(this);
  }

  private async namespace(name: string): Promise<void> {
    this.namespaces.push(name);
    await mustRun(['ip', 'netns', 'add', name]);
  }
}

/** `ip netns exec` gives what it starts mounts of its own: another /sys there is nobody else's. */
const seeing = (sysfs: string | undefined): readonly string[] =>
  sysfs === undefined ? [] : ['sh', '-c', 'mount --bind "$0" /sys && exec "$@"', sysfs];

/** cnitool as people use it: the configuration in a folder, the plugins in CNI_PATH. */
export async function cnitool(
  lab: Lab,
  verb: string,
  network: string,
  pod: Pod,
  { confDir, side = OURS, ifName = 'net1', env = {}, wrapper = [] }: CnitoolCall,
): Promise<Outcome> {
  const place = await lab.resident.at(wrapper);
  const path = env['CNI_PATH'] ?? side.path.join(':');
  return lab.execute([...wrapper, join(GO.bin, 'cnitool'), verb, network, pod.path], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NETCONFPATH: confDir,
      CNI_IFNAME: ifName,
      ...env,
      CNI_PATH: place === undefined ? path : inPlaceOf(OURS.bin, place.bin, path),
      ...place?.env,
    },
    cwd: lab.dir,
  });
}

/** CNI_PATH with another folder in the place of one. */
export const inPlaceOf = (folder: string, other: string, path: string): string =>
  path
    .split(':')
    .map((one) => (one === folder ? other : one))
    .join(':');

/** Writes a network of these plugins, for cnitool. */
export function writeNetwork(
  lab: Lab,
  name: string,
  cniVersion: string | undefined,
  plugins: readonly object[],
): string {
  const confDir = lab.folder('net.d');
  writeFileSync(join(confDir, `10-${name}.conflist`), JSON.stringify({ cniVersion, name, plugins }));
  return confDir;
}

export interface CnitoolCall {
  /** NETCONFPATH */
  readonly confDir: string;
  readonly side?: Side;
  readonly ifName?: string;
  readonly env?: Env;
  /** a program that starts it */
  readonly wrapper?: readonly string[];
}

function endAll(): void {
  for (const lab of alive) {
    lab.endNow();
  }
}

process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    endAll();
    process.exit(1);
  });
}
