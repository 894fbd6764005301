/** Our device plugins on a node: started under the names, and with the flags, that manifests of Go's have. */
import { readFileSync } from 'node:fs';
import type { ServerProcess } from '../cluster/server-process.ts';
import { until } from '../containerd/poll.ts';
import { CNI_BIN, RUNTIME } from './configs.ts';
import type { Kubernetes } from './kubernetes.ts';
import type { Node } from './node.ts';
import { type PodObject, podNamed } from './pods.ts';

const PROGRAMS = '/usr/local/device-plugins';
const CONFIGS = {
  sriovdp: '/etc/pcidp/config.json',
  'k8s-rdma-shared-dp': '/etc/rdma-shared/config.json',
} as const;

export type Name = keyof typeof CONFIGS;

/** How a kubelet hears of resources: it watches a folder, or is told; then it shows the plugin its older folder only. */
export type Way = 'found by the kubelet' | 'registered with the kubelet';

const OLDER = '/run/older-kubelet';

const flagsOf = (name: Name, way: Way, more: readonly string[]): readonly [path: string, args: readonly string[]] => {
  const file = CONFIGS[name];
  if (way === 'found by the kubelet') {
    const prefix = name === 'sriovdp' ? ['--log-level=10', '--resource-prefix=example.com'] : [];
    return [`${PROGRAMS}/${name}`, [...prefix, `--config-file=${file}`, ...more]];
  }
  const flags =
    name === 'sriovdp' ? ['--config-file', file, '--resource-prefix', 'example.com'] : ['--rdma-config-file', file];
  return [`${CNI_BIN}/braid`, ['device-plugins', ...flags, '--kubelet', OLDER, ...more]];
};

export class OwnDevicePlugins implements AsyncDisposable {
  private readonly node: Node;
  private readonly running = new Map<Name, ServerProcess>();
  way: Way = 'found by the kubelet';
  /** flags of both */
  flags: readonly string[] = [];

  private constructor(node: Node) {
    this.node = node;
  }

  static async on(node: Node): Promise<OwnDevicePlugins> {
    const links = Object.keys(CONFIGS).map((name) => `ln -s ${CNI_BIN}/braid ${PROGRAMS}/${name}`);
    const older = ['device-plugins', 'pod-resources'].map((name) => `ln -s /var/lib/kubelet/${name} ${OLDER}/${name}`);
    const script = [`mkdir -p ${PROGRAMS} ${OLDER}`, ...links, ...older].join('\n');
    await node.run(node.entering(['bash', '-euc', script]));
    return new OwnDevicePlugins(node);
  }

  configure(name: Name, config: object | string): Promise<void> {
    return this.node.write(CONFIGS[name], typeof config === 'string' ? config : JSON.stringify(config));
  }

  start(...names: readonly Name[]): void {
    for (const name of names) {
      const [path, args] = flagsOf(name, this.way, this.flags);
      this.running.set(name, this.node.startProgram(path, args, {}));
    }
  }

  async end(name: Name, how: 'stop' | 'kill'): Promise<void> {
    await this.running.get(name)?.[how]();
    this.running.delete(name);
  }

  lastWords(name: Name): string {
    return this.running.get(name)?.lastWords() ?? '';
  }

  /** `braid devices` on the node. */
  async look(...more: readonly string[]): Promise<string> {
    const files = ['--config-file', CONFIGS.sriovdp, '--rdma-config-file', CONFIGS['k8s-rdma-shared-dp']];
    const argv = [`${CNI_BIN}/braid`, 'devices', ...files, '--resource-prefix', 'example.com', ...more];
    return this.node.run(this.node.entering(argv));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.running.keys()]) {
      await this.end(name, 'stop');
    }
  }
}

/** What a pod's container has been given. */
export interface Given {
  readonly container: string;
  readonly env: Readonly<Record<string, string>>;
  /** paths of device files that no container has by itself */
  readonly files: readonly string[];
}

export async function givenTo(kubernetes: Kubernetes, node: Node, name: string): Promise<Given> {
  const container = containerOf(await podNamed(kubernetes, name));
  const tasks = await node.run(node.entering([`${RUNTIME}/ctr`, '-n', 'k8s.io', 'tasks', 'ls']));
  const pid = tasks
    .split('\n')
    .find((line) => line.startsWith(container))
    ?.split(/\s+/)[1];
  if (pid === undefined) {
    throw new Error(`there is no container of ${name}: ${tasks}`);
  }
  // until it executes the program of the pod it is runc, which has its own
  await until(`the program of ${name} to run`, () => {
    const command = readFileSync(node.pathHere(`/proc/${pid}/cmdline`), 'utf8');
    return command === '' || /(^|\/)runc\0|\0init\0$/.test(command) ? undefined : true;
  });
  const environ = readFileSync(node.pathHere(`/proc/${pid}/environ`), 'utf8');
  const pairs = environ.split('\0').map((text) => [text.replace(/=.*/s, ''), text.replace(/^[^=]*=/, '')] as const);
  const found = await node.run(
    node.entering(['bash', '-c', `cd /proc/${pid}/root/dev && find vfio infiniband -type c | sort`]),
  );
  return {
    container,
    env: Object.fromEntries(pairs.filter(([key]) => key.startsWith('PCIDEVICE_'))),
    files: found.split('\n').flatMap((path) => (path === '' ? [] : [`/dev/${path}`])),
  };
}

const containerOf = ({ status }: PodObject): string =>
  status.containerStatuses?.[0]?.containerID?.replace(/^containerd:\/\//, '') ?? '';
