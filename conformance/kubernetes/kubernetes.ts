/** A whole cluster on this machine: an API server, controllers, a scheduler, and nodes with a kubelet and a runtime. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Cluster, kubeconfigText, startCluster, type User } from '../cluster/cluster.ts';
import { applyCrds, applyRbac } from '../cluster/manifests.ts';
import { serviceAccountToken } from '../cluster/objects.ts';
import { expectSuccess } from '../cluster/request.ts';
import { until } from '../containerd/poll.ts';
import { BASE_ENV, execute, type Outcome } from '../lab/execute.ts';
import { GO, PLUGINS, STANDALONE } from '../lab/programs.ts';
import type { AnyNode } from './any-node.ts';
import { startControllers } from './control.ts';
import { type Ground, makeGround, makeNode, makeVmNode } from './ground.ts';
import { installParts, type Parts } from './install.ts';
import { CONF_FILE, type Node } from './node.ts';
import type { VfCounts, VmNode } from './vm/vm-node.ts';

export interface KubernetesOptions {
  readonly nodes?: number;
  /** nodes more, which come after those: emulated machines that make virtual functions of their NICs */
  readonly machines?: readonly VfCounts[];
  /** whose multus: ours unless BRAID_MULTUS says "go", or the one of Go, which runs our plugins */
  readonly multus?: 'ours' | 'go';
  /** the nodes have the plugins of Go in place of ours, and nothing of whereabouts: who installs ours brings it */
  readonly isBare?: boolean;
  /** what nodes have in /opt/cni/bin, in place of ours */
  readonly programs?: readonly string[];
}

const MULTUS = process.env['BRAID_MULTUS'] === 'go' ? 'go' : 'ours';

/** What nodes have in /opt/cni/bin. */
const ownPrograms = (multus: 'ours' | 'go'): readonly string[] => [
  ...[...PLUGINS, 'braid'].filter((name) => name !== 'multus').map((name) => join(STANDALONE, name)),
  join(multus === 'ours' ? STANDALONE : GO.bin, 'multus'),
  join(GO.bin, 'loopback'),
];

/** What a node of a bare cluster has: enough for a network of its own, and more that ours take the place of. */
const BARE = ['loopback', 'macvlan', 'host-local', 'static'].map((name) => join(GO.bin, name));

/** On a machine with far too much to do, which may be emulated. */
const READY_MS = 300_000;

interface Running {
  readonly parts: Parts;
  readonly ground: Ground;
  readonly cluster: Cluster;
  readonly nodes: readonly Node[];
  readonly machines: readonly VmNode[];
}

export class Kubernetes implements AsyncDisposable {
  private readonly running: Running;
  /** what ends it all, once it stands */
  private stack = new AsyncDisposableStack();

  private constructor(running: Running) {
    this.running = running;
  }

  /**
   * A cluster whose nodes have our plugins, and what whereabouts needs to keep its pools in the cluster. They get ready
   * with a configuration: see `configure`.
   */
  static async start({
    machines: vfs = [],
    nodes: count = vfs.length === 0 ? 1 : 0,
    multus = MULTUS,
    isBare = false,
    programs: installed = isBare ? BARE : ownPrograms(multus),
  }: KubernetesOptions = {}): Promise<Kubernetes> {
    const parts = await installParts();
    await using stack = new AsyncDisposableStack();
    const ground = await makeGround(stack);
    const numbers = Array.from({ length: count + vfs.length }, (_, index) => index + 1);
    const users = numbers.map(kubeletUser);
    const make = { stack, ground, parts, plugins: installed };
    const nodes = numbers.slice(0, count).map((number) => makeNode(make, number));
    const machines = numbers.slice(count).map((number, index) => makeVmNode(make, number, vfs[index]));
    const all: readonly AnyNode[] = [...nodes, ...machines];
    const starting = startCluster({
      authorization: 'Node,RBAC',
      hasServiceAccounts: true,
      parent: ground.folder,
      site: ground.site,
      users,
    }).then((cluster) => stack.use(cluster));
    await allOf([starting, ...all.map((node) => node.boot())]);
    const cluster = await starting;
    const { elsewhere } = ground.site;
    const graceSeconds = machines.length === 0 ? 60 : 90; // nodes may be slow to say that they are there, emulated ones most
    for (const controller of startControllers({ kubernetes: parts.kubernetes, cluster, elsewhere, graceSeconds })) {
      stack.defer(() => controller.kill());
    }
    const kubernetes = new Kubernetes({ parts, ground, cluster, nodes, machines });
    await allOf([
      ...(isBare ? [] : [kubernetes.giveRights()]),
      ...all.map((node, index) => kubernetes.startKubelet(node, users[index]?.token ?? '')),
      kubernetes.untilAccount('default'),
    ]);
    kubernetes.stack = stack.move();
    return kubernetes;
  }

  get nodes(): readonly Node[] {
    return this.running.nodes;
  }

  get machines(): readonly VmNode[] {
    return this.running.machines;
  }

  get all(): readonly AnyNode[] {
    return [...this.nodes, ...this.machines];
  }

  /** The newest CNI version that the runtime takes results of. */
  get cniVersion(): string {
    return this.running.parts.runtime.name === 'containerd 1' ? '1.0.0' : '1.1.0';
  }

  get cluster(): Cluster {
    return this.running.cluster;
  }

  /** Puts a configuration on all nodes, and waits until each of them is ready for pods. */
  async configure(conflist: (node: AnyNode) => object): Promise<void> {
    for (const node of this.all) {
      await node.write(CONF_FILE, JSON.stringify(conflist(node)));
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
        const ready = items.filter(({ status }) => readinessOf(status) === READY);
        if (ready.length < this.all.length) {
          throw new Error(items.map(({ metadata, status }) => `${metadata.name}: ${readinessOf(status)}`).join(', '));
        }
        return true;
      },
      READY_MS,
    ).catch((error: unknown) => {
      const words = this.all.map((node) => `${node.name}:\n${node.lastWords('kubelet')}`);
      throw new Error(`${String(error)}\n${words.join('\n')}`);
    });
  }

  /** Writes a kubeconfig of an account in kube-system on all nodes. */
  async giveKubeconfig(pathOnNode: string, account: string): Promise<void> {
    const { url, ca } = this.cluster;
    const token = await serviceAccountToken(this.cluster, account);
    for (const node of this.all) {
      await node.write(CA_FILE, ca);
      await node.write(pathOnNode, kubeconfigText(url, CA_FILE, { token, namespace: 'kube-system' }));
    }
  }

  /** Gives whereabouts on all nodes all rights. */
  letWhereaboutsDoAll(): void {
    const { url, ca, token } = this.cluster;
    for (const node of this.nodes) {
      node.write(CA_FILE, ca);
      node.write(WHEREABOUTS_KUBECONFIG, kubeconfigText(url, CA_FILE, { token, namespace: 'kube-system' }));
    }
  }

  /** A namespace has an account for its pods only when a controller has made it. */
  async untilAccount(namespace: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
    const look = async () => ((await this.cluster.send(path)).status === 200 ? true : undefined);
    await until(`the account of ${namespace}`, look, READY_MS);
  }

  node(name: string): Node {
    return named(this.nodes, name);
  }

  machine(name: string): VmNode {
    return named(this.machines, name);
  }

  anyNode(name: string): AnyNode {
    return named(this.all, name);
  }

  /** Its own, removed at the end. */
  get folder(): string {
    return this.running.ground.folder;
  }

  /** Leads to the API server. */
  get socket(): string {
    return this.running.ground.site.socket;
  }

  /** `kubectl …` as the administrator. */
  kubectl(...words: readonly string[]): Promise<Outcome> {
    return execute([...this.kubectlWords(), ...words], { env: BASE_ENV });
  }

  /** Runs a program where the API server is, with a kubeconfig of the administrator. */
  administer(program: string, ...words: readonly string[]): Promise<Outcome> {
    const { ground, cluster } = this.running;
    const argv = [...ground.site.elsewhere.enter, program, ...words, '--kubeconfig', cluster.kubeconfig('admin')];
    return execute(argv, { env: { ...BASE_ENV, HOME: ground.folder, HELM_NO_PLUGINS: '1' } });
  }

  /** Words that kubectl's own come after. */
  kubectlWords(): readonly string[] {
    const { parts, ground, cluster } = this.running;
    const { folder, site } = ground;
    const files = ['--kubeconfig', cluster.kubeconfig('admin'), '--cache-dir', join(folder, 'kubectl')];
    return [...site.elsewhere.enter, join(parts.kubernetes, 'kubectl'), ...files];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }

  private async startKubelet(node: AnyNode, token: string): Promise<void> {
    const { url, ca } = this.cluster;
    await node.write(CA_FILE, ca);
    await node.write('/etc/kubernetes/kubelet.conf', kubeconfigText(url, CA_FILE, { token }));
    // A kubelet that has to make its Node, and is slow, waits minutes before it looks for it again.
    const body = { apiVersion: 'v1', kind: 'Node', metadata: { name: node.name } };
    await expectSuccess(this.cluster.send('/api/v1/nodes', { method: 'POST', body }));
    await node.start('kubelet');
  }

  /** As installers do: a kubeconfig on each node, and a flat file that names it. */
  private async giveRights(): Promise<void> {
    const { cluster } = this;
    await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
    await this.giveKubeconfig(WHEREABOUTS_KUBECONFIG, 'braid-whereabouts');
    for (const node of this.all) {
      await node.write(WHEREABOUTS_CONF, JSON.stringify(WHEREABOUTS));
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

function named<T extends AnyNode>(nodes: readonly T[], name: string): T {
  const found = nodes.find((node) => node.name === name);
  if (found === undefined) {
    throw new Error(`there is no node ${name}`);
  }
  return found;
}

/** As whom a kubelet logs in. */
const kubeletUser = (number: number): User => ({
  name: `system:node:n${number}`,
  group: 'system:nodes',
  token: randomBytes(16).toString('hex'),
});

/** Waits for all of them, also when one has failed: what they have made must be known to whoever takes it down. */
async function allOf(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    throw failed.reason;
  }
}

interface NodeObject {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
  };
}

const READY = 'ready';

/** @returns why not, when it is not */
function readinessOf({ conditions = [] }: NodeObject['status']): string {
  const found = conditions.find(({ type }) => type === 'Ready');
  return found?.status === 'True' ? READY : (found?.message ?? 'says nothing');
}
