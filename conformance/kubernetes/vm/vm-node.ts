/** A node whose kubelet runs in an emulated machine, which has NICs with virtual functions. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type ServerProcess, startProcess } from '../../cluster/server-process.ts';
import { Cri } from '../../containerd/cri.ts';
import type { Place } from '../../containerd/place.ts';
import { until } from '../../containerd/poll.ts';
import type { Execution, Outcome } from '../../lab/execute.ts';
import type { AnyNode, Daemon } from '../any-node.ts';
import { CNI_BIN, containerdConfig, KUBERNETES, kubeletConfig, RUNTIME } from '../configs.ts';
import type { Parts } from '../install.ts';
import { API_ADDRESS, addressOf, plugInTaps, RAILS } from '../wires.ts';
import { Machine } from './machine.ts';

export interface VmNodeWanted {
  readonly number: number;
  /** its own */
  readonly folder: string;
  readonly control: Place;
  readonly parts: Parts;
  /** programs for /opt/cni/bin */
  readonly plugins: readonly string[];
  readonly vfs?: VfCounts;
}

/** Virtual functions that a node makes when it starts, by card. */
export type VfCounts = Readonly<Partial<Record<(typeof RAILS)[number], number>>>;

/** A program that runs until it is stopped. */
export interface DaemonWanted {
  readonly name: string;
  readonly argv: readonly string[];
}

const CRI_PORT = 10010;
const CRI_SOCKET = 'cri.sock';

/** What a power cut leaves. */
const DISK = ['var/lib/cni', 'var/lib/kubelet', 'var/lib/containerd'];

/** On an emulated machine, whose host has far too much to do. */
const DAEMON_MS = 120_000;

export class VmNode implements AnyNode {
  readonly name: string;
  /** Runs a program in the machine. */
  readonly run = (argv: readonly string[], execution?: Execution): Promise<string> => this.mustRun(argv, execution);
  readonly netns = '../../proc/1/ns/net';
  private readonly wanted: VmNodeWanted;
  private readonly machine: Machine;
  private isPluggedIn = false;
  private relay: ServerProcess | undefined;
  private client: Cri | undefined;

  /** A node that is off, with an empty disk. */
  constructor(wanted: VmNodeWanted) {
    const { number, folder, control, parts } = wanted;
    this.name = `n${number}`;
    this.wanted = wanted;
    this.machine = new Machine({
      folder,
      name: this.name,
      number,
      cards: RAILS,
      enter: enter(control),
      order: {
        ADDRESS: addressOf(number),
        GATEWAY: API_ADDRESS,
        KUBERNETES: parts.kubernetes,
        RUNTIME: parts.runtime.bin,
        RUNC: parts.runc,
      },
    });
    this.put('/etc/hosts', `127.0.0.1 localhost\n${addressOf(number)} ${this.name}\n`);
    this.put('/etc/resolv.conf', '');
    this.put('/etc/containerd/config.toml', containerdConfig(`${addressOf(number)}:${CRI_PORT}`));
    this.put('/etc/kubernetes/kubelet.json', JSON.stringify({ ...kubeletConfig('/'), ...PATIENT }));
  }

  async boot(): Promise<void> {
    const { control, folder, parts, plugins, number } = this.wanted;
    if (!this.isPluggedIn) {
      await plugInTaps(control, this.name, RAILS);
      this.isPluggedIn = true;
    }
    await this.machine.powerOn();
    const socket = join(folder, CRI_SOCKET);
    rmSync(socket, { force: true }); // of a relay that was killed
    const words = [RELAY, socket, addressOf(number), String(CRI_PORT)];
    this.relay = startProcess(process.execPath, words, folder, { enter: enter(control), forks: false });
    await this.run(['mkdir', '-p', CNI_BIN]);
    await this.run(['ln', '-sf', ...plugins, CNI_BIN]);
    await Promise.all([this.start('containerd'), this.makeVfs()]);
    for (const image of parts.images) {
      await this.loadImage(image);
    }
  }

  /** @param tar of an image, which the machine sees too */
  async loadImage(tar: string): Promise<void> {
    // By ctr itself, which is faster; that of containerd 1 knows no other way.
    const local = this.wanted.parts.runtime.name === 'containerd 1' ? [] : ['--local'];
    await this.run(['ctr', '-n', 'k8s.io', 'images', 'import', ...local, tar]);
  }

  /** After a power cut: everything starts by itself. */
  async powerOn(): Promise<void> {
    await this.boot();
    await this.start('kubelet');
  }

  async start(daemon: Daemon): Promise<void> {
    await this.startDaemon({ name: daemon, argv: DAEMONS[daemon](this.name, addressOf(this.wanted.number)) });
    if (daemon === 'containerd') {
      const look = async () => ((await this.cri.version()) === '' ? undefined : true);
      await until('containerd', look, DAEMON_MS);
    }
  }

  /** Starts a program there, which logs into a file here. */
  async startDaemon({ name, argv }: DaemonWanted): Promise<void> {
    await this.run(['bash', '-c', START_DAEMON, name, ...argv]);
  }

  /** Whether a program that was started there still runs. */
  async isRunning(daemon: string): Promise<boolean> {
    return (await this.execute(['bash', '-c', IS_RUNNING, daemon])).exitCode === 0;
  }

  async stop(daemon: string, how: 'stop' | 'kill' = 'stop'): Promise<void> {
    await this.run(['bash', '-c', STOP_DAEMON, daemon, how === 'stop' ? 'TERM' : 'KILL']);
  }

  /** Ends a daemon, and starts it again. */
  async restart(daemon: Daemon, how: 'stop' | 'kill' = 'stop'): Promise<void> {
    await this.stop(daemon, how);
    await this.start(daemon);
  }

  /** Kills everything at once: no DEL is called. The disk stays; what is in memory is gone, virtual functions too. */
  async cutPower(): Promise<void> {
    await this.run(['bash', '-c', SAVE_DISK, 'save', ...DISK]);
    await this.end();
  }

  /** After a power cut, or at the end of the tests. */
  async end(): Promise<void> {
    this.client?.[Symbol.dispose]();
    this.client = undefined;
    await this.machine.cutPower();
    await this.relay?.kill();
    this.relay = undefined;
  }

  get cri(): Cri {
    this.client ??= new Cri(join(this.wanted.folder, CRI_SOCKET));
    return this.client;
  }

  get isOn(): boolean {
    return this.machine.isOn;
  }

  async write(pathOnNode: string, text: string): Promise<void> {
    this.put(pathOnNode, text);
    if (this.machine.isOn) {
      await this.run(['bash', '-c', PLACE_FILE, pathOnNode], { stdin: text });
    }
  }

  async names(pathOnNode: string): Promise<readonly string[]> {
    const list = await this.run(['find', pathOnNode, '-mindepth', '1', '-printf', '%y %P\\n']);
    const lines = list.split('\n').filter((line) => line !== '');
    return lines.map((line) => (line.startsWith('d') ? `${line.slice(2)}/` : line.slice(2))).sort();
  }

  nameHere(netns: string): string {
    return relative('/run/netns', netns.replace(/^\/var\/run\//, '/run/'));
  }

  lastWords(daemon: string, lines = 20): string {
    const path = this.machine.shared(`${daemon}.log`);
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : '';
  }

  /** Runs a program in the machine, whatever its exit code. */
  execute(argv: readonly string[], execution?: Execution): Promise<Outcome> {
    return this.machine.execute(argv, execution);
  }

  private async mustRun(argv: readonly string[], execution?: Execution): Promise<string> {
    const { exitCode, stdout, stderr } = await this.execute(argv, execution);
    if (exitCode !== 0) {
      throw new Error(`on ${this.name}: ${argv.join(' ')}: exit ${exitCode}: ${stderr || stdout}`);
    }
    return stdout;
  }

  /** Makes the virtual functions of these cards. */
  async makeVfs(cards: readonly string[] = RAILS): Promise<void> {
    const wanted = Object.entries(this.wanted.vfs ?? {}).filter(([card]) => cards.includes(card));
    await this.run([MAKE_VFS, ...wanted.map(([card, count]) => `${card}=${count}`)]);
  }

  /** What is put here is there when the machine starts. */
  private put(pathOnNode: string, text: string): void {
    const path = this.machine.shared('root', pathOnNode);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o600 });
  }
}

const RELAY = join(import.meta.dirname, '../relay.ts');

const MAKE_VFS = join(import.meta.dirname, 'make-vfs');

const enter = ({ pid }: Place): readonly string[] => ['nsenter', `--net=/proc/${pid}/ns/net`];

/** Tells sooner what devices it has, and waits longer for a runtime that is emulated. */
const PATIENT = { nodeStatusUpdateFrequency: '2s', runtimeRequestTimeout: '10m' };

const DAEMONS: Readonly<Record<Daemon, (name: string, address: string) => readonly string[]>> = {
  containerd: () => [`${RUNTIME}/containerd`],
  kubelet: (name, address) => [
    `${KUBERNETES}/kubelet`,
    '--config=/etc/kubernetes/kubelet.json',
    '--kubeconfig=/etc/kubernetes/kubelet.conf',
    `--hostname-override=${name}`,
    `--node-ip=${address}`,
    '--cert-dir=/var/lib/kubelet/pki',
  ],
};

const START_DAEMON = `
setsid "$@" </dev/null >>"/shared/$0.log" 2>&1 &
echo $! >"/run/daemons/$0"`;

const IS_RUNNING = 'kill -0 "$(<"/run/daemons/$0")"';

const STOP_DAEMON = `
[[ -e /run/daemons/$0 ]] || exit 0
pid=$(<"/run/daemons/$0")
kill -s "$1" "$pid"
for try in {1..100}; do
  kill -0 "$pid" 2>/dev/null || break
  [[ $try != 60 ]] || kill -s KILL "$pid"
  sleep 0.1
done
rm "/run/daemons/$0"`;

// The disk is in memory as well: this is how it survives. Nobody writes meanwhile, so that each file is whole.
const SAVE_DISK = `
kill -s STOP $(cat /run/daemons/*)
tar -cf /shared/disk.tar --one-file-system --ignore-failed-read -C / "$@"`;

const PLACE_FILE = `
part=$0.$$.part
mkdir -p "$(dirname "$0")" && cat >"$part" && chmod 600 "$part" && mv "$part" "$0"`;
