/** multus on a node of its own that reaches a cluster, for pods that the cluster has. */
import { join } from 'node:path';
import type { Outcome } from '../lab/execute.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { OURS, type Side } from '../lab/programs.ts';
import { filesIn } from '../lab/state.ts';
import type { Cluster } from './cluster.ts';
import { createPod, deletePod } from './objects.ts';
import { expectSuccess } from './request.ts';
import { openTunnel, type Tunnel } from './tunnel.ts';

export const STATUS_KEY = 'k8s.v1.cni.cncf.io/network-status';
export const NETWORKS_KEY = 'k8s.v1.cni.cncf.io/networks';

/** A pod of the cluster, and its namespace on the node. */
export interface ClusterPod {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly containerId: string;
  readonly netns: Pod;
}

export interface Calling {
  /** more of multus's configuration */
  readonly more?: object;
  readonly side?: Side;
  readonly env?: Readonly<Record<string, string>>;
  /** K8S_POD_UID instead of the pod's */
  readonly uid?: string;
  /** CNI_NETNS instead of the pod's */
  readonly netns?: string;
  /** a folder that stands for /sys */
  readonly sysfs?: string;
}

interface PodObject {
  readonly metadata: { readonly uid: string; readonly annotations?: Readonly<Record<string, string>> };
}

interface EventObject {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly name: string; readonly uid: string };
  readonly source: { readonly component: string };
}

/** Networks of pods that ask for none. */
export interface Configured {
  readonly delegates?: readonly object[];
  readonly [key: string]: unknown;
}

export class MultusLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly cluster: Cluster;
  readonly cniDir: string;
  readonly tunnel: Tunnel;
  private readonly kubeconfig: string;
  private pods = 0;

  private constructor(lab: Lab, cluster: Cluster, tunnel: Tunnel, kubeconfig: string) {
    this.lab = lab;
    this.cluster = cluster;
    this.tunnel = tunnel;
    this.kubeconfig = kubeconfig;
    this.cniDir = lab.folder('cni');
  }

  /** @param kubeconfig of whoever multus is for the cluster */
  static async open(
    cluster: Cluster,
    kubeconfig: string,
    form: { readonly isResident?: boolean } = {},
  ): Promise<MultusLab> {
    const lab = await Lab.open(form);
    try {
      return new MultusLab(lab, cluster, await openTunnel(cluster.url, lab.node), kubeconfig);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A pod of the cluster, on this node; `node` is what the cluster calls that. */
  async pod(
    annotations: Readonly<Record<string, string>> = {},
    namespace = 'default',
    node?: string,
  ): Promise<ClusterPod> {
    const name = `${this.lab.node}-${++this.pods}`;
    const uid = await createPod(this.cluster, {
      name,
      namespace,
      annotations,
      ...(node === undefined ? {} : { node }),
    });
    return { name, namespace, uid, containerId: `c-${name}`, netns: await this.lab.pod() };
  }

  async deletePod(pod: ClusterPod): Promise<void> {
    await deletePod(this.cluster, pod);
  }

  call(verb: string, pod: ClusterPod, conf: Configured, calling: Calling = {}): Promise<Outcome> {
    const { more = {}, side = OURS, env = {}, uid = pod.uid, netns = pod.netns.path, sysfs } = calling;
    const own = { cniDir: this.cniDir, binDir: side.bin, kubeconfig: this.kubeconfig };
    return this.lab.call(
      {
        verb,
        plugin: 'multus',
        conf: { cniVersion: '1.1.0', name: 'node', type: 'multus', ...own, ...conf, ...more },
        netns,
        containerId: pod.containerId,
        ifName: 'eth0',
        args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.containerId};K8S_POD_UID=${uid}`,
        path: [join(this.lab.dir, 'fake'), ...side.path],
        env,
        ...(sysfs === undefined ? {} : { sysfs }),
      },
      side,
    );
  }

  /** A NetworkAttachmentDefinition; an empty configuration is one without `config`. */
  async define(name: string, config: object | string, { namespace = 'default', resource = '' } = {}): Promise<void> {
    const path = `/apis/k8s.cni.cncf.io/v1/namespaces/${namespace}/network-attachment-definitions`;
    const text = typeof config === 'string' ? config : JSON.stringify(config);
    const annotations = resource === '' ? {} : { 'k8s.v1.cni.cncf.io/resourceName': resource };
    await expectSuccess(
      this.cluster.send(path, {
        method: 'POST',
        body: {
          apiVersion: 'k8s.cni.cncf.io/v1',
          kind: 'NetworkAttachmentDefinition',
          metadata: { name, annotations },
          spec: text === '' ? {} : { config: text },
        },
      }),
    );
  }

  /** The pod's network-status; undefined when it has none. */
  async status({ name, namespace }: ClusterPod): Promise<string | undefined> {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    const { metadata } = await expectSuccess<PodObject>(this.cluster.send(path));
    return metadata.annotations?.[STATUS_KEY];
  }

  /** `Normal AddedInterface Add …` of each event of the pod, in no order. */
  async events({ name, namespace }: ClusterPod): Promise<readonly string[]> {
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name=${name}`;
    const { items } = await expectSuccess<{ readonly items: readonly EventObject[] }>(this.cluster.send(path));
    return items.map(({ type, reason, message }) => `${type} ${reason} ${message}`).sort();
  }

  /** Scratch files and results. */
  records(): Readonly<Record<string, string>> {
    return filesIn(this.cniDir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tunnel[Symbol.asyncDispose]();
    await this.lab[Symbol.asyncDispose]();
  }
}
