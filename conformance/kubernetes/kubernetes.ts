/** A whole cluster on this machine: an API server, controllers, a scheduler, and nodes with a kubelet and a runtime. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type Cluster, kubeconfigText, startCluster } from '../cluster/cluster.ts';
import { applyCrds, applyRbac } from '../cluster/manifests.ts';
import { serviceAccountToken } from '../cluster/objects.ts';
import { expectSuccess } from '../cluster/request.ts';
import { type Elsewhere, type ServerProcess, startProcess } from '../cluster/server-process.ts';
import type { Place } from '../containerd/place.ts';
import { until } from '../containerd/poll.ts';
import { BASE_ENV, execute, type Outcome } from '../lab/execute.ts';
import { GO, PLUGINS, STANDALONE } from '../lab/programs.ts';
import { startControllers } from './control.ts';
import { installParts, type Parts } from './install.ts';
import { CONF_FILE, Node } from './node.ts';
import { Warden } from './warden.ts';
import { API_ADDRESS, API_PORT, makeControl } from './wires.ts';

export interface KubernetesOptions {
  readonly nodes?: number;
  /** whose multus: ours unless BRAID_MULTUS says "go", or the one of Go, which runs our plugins */
  readonly multus?: 'ours' | 'go';
}

const MULTUS = process.env['BRAID_MULTUS'] === 'go' ? 'go' : 'ours';

/** What nodes have in /opt/cni/bin. */
const programs = (multus: 'ours' | 'go'): readonly string[] => [
  ...[...PLUGINS, 'braid'].filter((name) => name !== 'multus').map((name) => join(STANDALONE, name)),
  join(multus === 'ours' ? STANDALONE : GO.bin, 'multus'),
  join(GO.bin, 'loopback'),
];

/** On a machine with far too much to do. */
const READY_MS = 120_000;

interface Running {
  readonly folder: string;
  readonly warden: Warden;
  readonly control: Place;
  readonly relay: ServerProcess;
  readonly cluster: Cluster;
  readonly controllers: readonly ServerProcess[];
  readonly parts: Parts;
  readonly elsewhere: Elsewhere;
}

export class Kubernetes implements AsyncDisposable {
  readonly nodes: readonly Node[];
  /** the newest CNI version that the runtime takes results of */
  readonly cniVersion: string;
  private readonly running: Running;

  private constructor(running: Running, nodes: readonly Node[]) {
    this.running = running;
    this.nodes = nodes;
    this.cniVersion = running.parts.runtime.name === 'containerd 1' ? '1.0.0' : '1.1.0';
  }

  /**
   * A cluster whose nodes have our plugins, and what whereabouts needs to keep its pools in the cluster. They get ready
   * with a configuration: see `configure`.
   */
  static async start({ nodes: count = 1, multus = MULTUS }: KubernetesOptions = {}): Promise<Kubernetes> {
    const parts = await installParts();
    await using onFailure = new AsyncDisposableStack();
    const warden = onFailure.use(new Warden());
    const folder = mkdtempSync(join(tmpdir(), 'braid-kubernetes-'));
    warden.removes(folder);
    const control = await makeControl(folder);
    onFailure.defer(() => control.end());
    const users = Array.from({ length: count }, (_, index) => ({
      name: `system:node:n${index + 1}`,
      group: 'system:nodes',
      token: randomBytes(16).toString('hex'),
    }));
    const elsewhere = { enter: ['nsenter', `--net=/proc/${control.pid}/ns/net`], forks: false };
    const socket = join(folder, 'api.sock');
    const relayArgs = [join(import.meta.dirname, 'relay.ts'), socket, API_ADDRESS, String(API_PORT)];
    const relay = startProcess(process.execPath, relayArgs, folder, elsewhere);
    onFailure.defer(() => relay.kill());

    const nodes = users.map((_, index) => {
      const cgroup = `${basename(folder)}-n${index + 1}`;
      const home = join(folder, `n${index + 1}`);
      mkdirSync(home);
      const node = new Node({ number: index + 1, folder: home, control, parts, cgroup });
      for (const group of node.cgroups) {
        warden.removes(group);
      }
      node.installPlugins(programs(multus));
      onFailure.defer(() => node.cutPower());
      return node;
    });
    const starting = startCluster({
      authorization: 'Node,RBAC',
      hasServiceAccounts: true,
      site: { elsewhere, address: API_ADDRESS, port: API_PORT, socket },
      users,
    }).then((cluster) => onFailure.use(cluster));
    const booting = await Promise.allSettled([starting, ...nodes.map((node) => node.boot())]);
    for (const outcome of booting) {
      if (outcome.status === 'rejected') {
        throw outcome.reason;
      }
    }
    const cluster = await starting;
    warden.removes(cluster.folder);
    const controllers = startControllers(parts.kubernetes, cluster, elsewhere);
    onFailure.defer(async () => {
      await Promise.all(controllers.map((controller) => controller.kill()));
    });
    const kubernetes = new Kubernetes(
      { folder, warden, control, relay, cluster, controllers, parts, elsewhere },
      nodes,
    );
    await Promise.all([
      kubernetes.giveRights(),
      ...nodes.map((node, index) => kubernetes.startKubelet(node, users[index]?.token ?? '')),
      kubernetes.untilAccount('default'),
    ]);
    onFailure.move();
    return kubernetes;
  }

  get cluster(): Cluster {
    return this.running.cluster;
  }

  /** Puts a configuration on all nodes, and waits until each of them is ready for pods. */
  async configure(conflist: (node: Node) => object): Promise<void> {
    for (const node of this.nodes) {
      node.write(CONF_FILE, JSON.stringify(conflist(node)));
    }
    await this.untilNodesReady();
  }

  async untilNodesReady(): Promise<void> {
    await until(
      'all nodes to be ready',
      async () => {
        const { items } = await expectSuccess<{ readonly items: readonly NodeObject[] }>(
          this.cluster.send('/api/v1/nodes'),
        );
        const ready = items.filter(({ status }) =>
          status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
        );
        return ready.length === this.nodes.length ? true : undefined;
      },
      READY_MS,
    ).catch((error: unknown) => {
      const words = this.nodes.map((node) => `${node.name}:\n${node.lastWords('kubelet')}`);
      throw new Error(`${String(error)}\n${words.join('\n')}`);
    });
  }

  /** Writes a kubeconfig of an account in kube-system on all nodes. */
  async giveKubeconfig(pathOnNode: string, account: string): Promise<void> {
    const { url, ca } = this.cluster;
    const token = await serviceAccountToken(this.cluster, account);
    for (const node of this.nodes) {
      node.write(CA_FILE, ca);
      node.write(pathOnNode, kubeconfigText(url, CA_FILE, { token, namespace: 'kube-system' }));
    }
  }

  /** A namespace has an account for its pods only when a controller has made it. */
  async untilAccount(namespace: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
    await until(`the account of ${namespace}`, async () =>
      (await this.cluster.send(path)).status === 200 ? true : undefined,
    );
  }

  node(name: string): Node {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) {
      throw new Error(`there is no node ${name}`);
    }
    return found;
  }

  /** Its own, removed at the end. */
  get folder(): string {
    return this.running.folder;
  }

  /** `kubectl …` as the administrator. */
  kubectl(...words: readonly string[]): Promise<Outcome> {
    return execute([...this.kubectlWords(), ...words], { env: BASE_ENV });
  }

  /** Words that kubectl's own come after. */
  kubectlWords(): readonly string[] {
    const { parts, cluster, elsewhere, folder } = this.running;
    const files = ['--kubeconfig', cluster.kubeconfig('admin'), '--cache-dir', join(folder, 'kubectl')];
    return [...elsewhere.enter, join(parts.kubernetes, 'kubectl'), ...files];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { warden, control, relay, cluster, controllers } = this.running;
    await Promise.all([...this.nodes.map((node) => node.cutPower()), ...controllers.map((one) => one.kill())]);
    await cluster[Symbol.asyncDispose]();
    await Promise.all([relay.kill(), control.end()]);
    await warden[Symbol.asyncDispose]();
  }

  private async startKubelet(node: Node, token: string): Promise<void> {
    const { url, ca } = this.cluster;
    node.write(CA_FILE, ca);
    node.write('/etc/kubernetes/kubelet.conf', kubeconfigText(url, CA_FILE, { token }));
    await node.start('kubelet');
  }

  /** As installers do: a kubeconfig on each node, and a flat file that names it. */
  private async giveRights(): Promise<void> {
    const { cluster } = this;
    await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
    await this.giveKubeconfig(WHEREABOUTS_KUBECONFIG, 'braid-whereabouts');
    for (const node of this.nodes) {
      node.write(WHEREABOUTS_CONF, JSON.stringify(WHEREABOUTS));
    }
  }
}

const CA_FILE = '/etc/kubernetes/ca.crt';

const WHEREABOUTS_FOLDER = '/etc/cni/net.d/whereabouts.d';
const WHEREABOUTS_KUBECONFIG = `${WHEREABOUTS_FOLDER}/whereabouts.kubeconfig`;
const WHEREABOUTS_CONF = `${WHEREABOUTS_FOLDER}/whereabouts.conf`;

/** The flat file as it is published. */
const WHEREABOUTS = {
  datastore: 'kubernetes',
  kubernetes: { kubeconfig: WHEREABOUTS_KUBECONFIG },
  reconciler_cron_expression: '30 4 * * *',
};

interface NodeObject {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}
