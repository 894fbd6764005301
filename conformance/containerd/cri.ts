/** A client of the CRI: what a kubelet asks for pod sandboxes, and nothing of containers and images. */
import { NODE_NETWORK, READY, RPCS } from './cri-messages.ts';
import { GrpcClient } from './grpc.ts';
import { decode, encode, type Fields, pairsOf } from './protobuf.ts';

export interface PodSpec {
  readonly name: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly portMappings?: readonly PortMapping[];
  readonly dnsServers?: readonly string[];
  readonly isOnHostNetwork?: boolean;
}

export interface PortMapping {
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIp?: string;
}

export interface SandboxStatus {
  readonly isReady: boolean;
  /** the first is the address of the pod */
  readonly ips: readonly string[];
  /** CNI_NETNS, as it is on the node; empty when it is closed */
  readonly netns: string;
  /** names of the interfaces in the CNI result as the runtime keeps it */
  readonly interfaces: readonly string[];
}

export interface Condition {
  readonly type: string;
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

export interface RuntimeStatus {
  readonly conditions: readonly Condition[];
  /** by name, JSON that differs between versions of the runtime */
  readonly info: Readonly<Record<string, string>>;
}

const DEADLINE_MS = 120_000;
const SERVICE = '/runtime.v1.RuntimeService';

export class Cri implements Disposable {
  private readonly client: GrpcClient;
  private readonly cgroup: string;

  /** @param cgroup that all sandboxes are put into */
  constructor(socket: string, cgroup = '') {
    this.client = new GrpcClient(socket);
    this.cgroup = cgroup;
  }

  /** @returns `containerd v2.4.2` */
  async version(): Promise<string> {
    const { runtimeName, runtimeVersion } = await this.call('Version');
    return `${runtimeName} ${runtimeVersion}`;
  }

  async status(): Promise<RuntimeStatus> {
    const { status, info } = await this.call('Status', { verbose: true });
    const { conditions } = status as unknown as { readonly conditions: readonly Condition[] };
    return { conditions, info: recordOf(info) };
  }

  /**
   * RunPodSandbox.
   *
   * @returns the sandbox's ID
   * @throws GrpcError with the plugin's words in it
   */
  async run({ name, annotations = {}, portMappings = [], dnsServers, isOnHostNetwork }: PodSpec): Promise<string> {
    const config: Fields = {
      metadata: { name, uid: `uid-${name}`, namespace: 'lab', attempt: 0 },
      ...(isOnHostNetwork === true ? {} : { hostname: name }),
      ...(dnsServers === undefined ? {} : { dnsConfig: { servers: dnsServers } }),
      annotations: pairsOf(annotations),
      portMappings: portMappings.map((mapping) => ({ ...mapping })),
      linux: {
        cgroupParent: this.cgroup,
        securityContext: { namespaceOptions: { network: isOnHostNetwork === true ? NODE_NETWORK : 0 } },
      },
    };
    const { podSandboxId } = await this.call('RunPodSandbox', { config });
    return String(podSandboxId);
  }

  async stop(id: string): Promise<void> {
    await this.call('StopPodSandbox', { podSandboxId: id });
  }

  async remove(id: string): Promise<void> {
    await this.call('RemovePodSandbox', { podSandboxId: id });
  }

  async sandbox(id: string): Promise<SandboxStatus> {
    const { status, info } = await this.call('PodSandboxStatus', { podSandboxId: id, verbose: true });
    const { state, network } = status as unknown as StatusMessage;
    const { runtimeSpec, cniResult } = JSON.parse(recordOf(info)['info'] ?? '{}') as SandboxInfo;
    const netns = runtimeSpec?.linux?.namespaces?.find(({ type }) => type === 'network');
    return {
      isReady: state === READY,
      ips: [network.ip, ...network.additionalIps.map(({ ip }) => ip)].filter((ip) => ip !== ''),
      netns: netns?.path ?? '',
      interfaces: Object.keys(cniResult?.Interfaces ?? {}).sort(),
    };
  }

  /** IDs of the sandboxes that the runtime knows, by the name of the pod. */
  async list(): Promise<Readonly<Record<string, string>>> {
    const all = await this.sandboxes();
    return Object.fromEntries(all.map(({ id, pod }) => [pod, id]));
  }

  /** Sandboxes that the runtime knows: a pod may have had several. */
  async sandboxes(): Promise<readonly { readonly id: string; readonly pod: string; readonly isReady: boolean }[]> {
    const { items } = await this.call('ListPodSandbox');
    const all = items as unknown as readonly ListedSandbox[];
    return all.map(({ id, metadata, state }) => ({ id, pod: metadata.name, isReady: state === READY }));
  }

  [Symbol.dispose](): void {
    this.client[Symbol.dispose]();
  }

  private async call(method: keyof typeof RPCS, fields: Fields = {}): Promise<Fields> {
    const { request, response } = RPCS[method];
    return decode(response, await this.client.call(`${SERVICE}/${method}`, encode(request, fields), DEADLINE_MS));
  }
}

interface ListedSandbox {
  readonly id: string;
  readonly metadata: { readonly name: string };
  readonly state: number;
}

interface StatusMessage {
  readonly state: number;
  readonly network: { readonly ip: string; readonly additionalIps: readonly { readonly ip: string }[] };
}

/** The part of containerd's own description of a sandbox that is read here. */
interface SandboxInfo {
  readonly runtimeSpec?: {
    readonly linux?: { readonly namespaces?: readonly { readonly type: string; readonly path?: string }[] };
  };
  readonly cniResult?: { readonly Interfaces?: Readonly<Record<string, unknown>> };
}

const recordOf = (pairs: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(
    (pairs as readonly { readonly key: string; readonly value: string }[]).map((pair) => [pair.key, pair.value]),
  );
