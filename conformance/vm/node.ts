/** The virtual machine as a node: its first namespace is where plugins run, and where the cards are. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_ENV, type Env, type Execution, execute, mustRun, type Outcome } from '../lab/execute.ts';
import { inPlaceOf, type Pod } from '../lab/lab.ts';
import { type Call, envOf, GO, OURS, type Side, stdinOf } from '../lab/programs.ts';
import { type Place, ResidentForm } from '../lab/resident.ts';

/** A network of these plugins, as cnitool reads it. */
export interface Network {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly object[];
}

export interface CnitoolCall {
  readonly verb: 'add' | 'check' | 'del' | 'gc' | 'status';
  readonly network: Network;
  readonly pod: Pod;
  readonly ifName?: string;
  readonly side?: Side;
  /** more variables: CAP_ARGS, CNI_ARGS */
  readonly env?: Env;
}

/** Pods and files that a test makes, which go with this value. Open it first, so that it is closed last. */
export class Node implements AsyncDisposable {
  /** a folder for stores and configurations */
  readonly dir: string;
  readonly prefix = `braid-${randomBytes(3).toString('hex')}`;
  /** the form in which its calls are done */
  private readonly resident: ResidentForm;
  private readonly pods: string[] = [];

  private constructor() {
    this.dir = mkdtempSync(join(tmpdir(), `${this.prefix}-`));
    this.resident = new ResidentForm([], this);
  }

  static open(): Node {
    return new Node();
  }

  /** A namespace with its `lo` up, in which IPv6 addresses are ready at once. */
  async pod(label = `pod${this.pods.length}`): Promise<Pod> {
    const name = `${this.prefix}-${label}`;
    this.pods.push(name);
    await mustRun(['ip', 'netns', 'add', name]);
    const pod = { name, path: `/run/netns/${name}` };
    await this.sysctl('net/ipv6/conf/default/accept_dad', '0', pod);
    await this.ip('link set lo up', pod);
    return pod;
  }

  /** Ends a pod before its node: what was moved into it comes back. */
  async remove(pod: Pod): Promise<void> {
    await mustRun(['ip', 'netns', 'del', pod.name]);
    this.pods.splice(this.pods.indexOf(pod.name), 1);
  }

  /** `ip …` on the node or in a pod, words separated by blanks. @throws Error with what it said */
  ip(command: string, pod?: Pod): Promise<string> {
    return mustRun(['ip', ...(pod === undefined ? [] : ['-n', pod.name]), ...command.split(' ')]);
  }

  /** The same, for what is expected to fail: whatever its exit code. */
  tryIp(command: string, pod?: Pod): Promise<Outcome> {
    return execute(['ip', ...(pod === undefined ? [] : ['-n', pod.name]), ...command.split(' ')]);
  }

  /** Sets a switch below /proc/sys, on the node or in a pod. */
  async sysctl(name: string, value: string, pod?: Pod): Promise<void> {
    await this.run(['sh', '-c', `echo ${value} > /proc/sys/${name}`], {}, pod);
  }

  /** Runs a program on the node or in a pod. */
  execute(argv: readonly string[], execution: Execution = {}, pod?: Pod): Promise<Outcome> {
    return execute(inside(pod, argv), execution);
  }

  /** Runs a program that must succeed, and returns what it said. */
  run(argv: readonly string[], execution: Execution = {}, pod?: Pod): Promise<string> {
    return mustRun(inside(pod, argv), execution);
  }

  /** Calls a plugin as a runtime does. */
  call(call: Call, side: Side = OURS, { killAfterMs }: Pick<Execution, 'killAfterMs'> = {}): Promise<Outcome> {
    const all = envOf(side, call);
    const wrapper = seeing(call.sysfs);
    const work = ({ bin, env }: Place = { bin: side.bin, env: {} }): Promise<Outcome> =>
      execute([...wrapper, join(bin, call.plugin)], {
        env: { ...all, ...env },
        stdin: stdinOf(call.conf),
        cwd: this.dir,
        ...(killAfterMs === undefined ? {} : { killAfterMs }),
      });
    return side === OURS ? this.resident.call(all, wrapper, work) : work();
  }

  /** cnitool as people use it: the configuration in a folder, the plugins in CNI_PATH. */
  async cnitool({ verb, network, pod, ifName = 'net1', side = OURS, env = {} }: CnitoolCall): Promise<Outcome> {
    const confDir = this.folder('net.d');
    writeFileSync(join(confDir, `10-${network.name}.conflist`), JSON.stringify(network));
    const place = await this.resident.at();
    const path = side.path.join(':');
    const cniPath = place === undefined ? path : inPlaceOf(OURS.bin, place.bin, path);
    return execute([join(GO.bin, 'cnitool'), verb, network.name, pod.path], {
      env: { ...BASE_ENV, NETCONFPATH: confDir, CNI_PATH: cniPath, CNI_IFNAME: ifName, ...env, ...place?.env },
      cwd: this.dir,
    });
  }

  /** A folder in the node's own. */
  folder(name: string): string {
    const path = join(this.dir, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resident[Symbol.dispose]();
    for (const name of this.pods.splice(0)) {
      await execute(['ip', 'netns', 'del', name]);
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const inside = (pod: Pod | undefined, argv: readonly string[]): readonly string[] =>
  pod === undefined ? argv : ['ip', 'netns', 'exec', pod.name, ...argv];

/** Another /sys, which is nobody else's. */
const seeing = (sysfs: string | undefined): readonly string[] =>
  sysfs === undefined ? [] : ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /sys && exec "$@"', sysfs];
