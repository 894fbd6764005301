import { messageOf } from '../../../lib/cni/errors.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Added } from '../../../lib/cni/network.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { Attachment } from '../attachments.ts';
import type { Delegate } from '../delegates.ts';
import { unheeded } from '../devices/capabilities.ts';
import { assignDevices } from '../devices/devices.ts';
import type { Network } from '../network.ts';
import { clusterNetworks, type Loading, prefixRejection, withChain } from '../networks.ts';
import type { Pod, Requests } from '../runtime-args.ts';
import { annotatedNetworks } from './annotated.ts';
import type { Cluster } from './cluster.ts';
import { DefinitionMissing } from './definitions.ts';
import { addedInterface, noNetworkFound, PodEvents, unheededCapabilities } from './events.ts';
import { networkStatuses, statusText } from './network-status.ts';
import type { PodObject } from './objects.ts';
import type { RdmaStatus } from './rdma-status.ts';
import { reportStatus } from './report.ts';

/** A network that a pod was attached to. */
export interface ToldNetwork {
  readonly attachment: Attachment;
  readonly added: Added;
  /** content of its device-info file */
  readonly deviceInfo: JsonObject | undefined;
}

/** A pod of a cluster during its ADD: which networks it has, and what the cluster is told of them. */
export class PodInCluster implements AsyncDisposable {
  private readonly loading: Loading;
  private readonly cluster: Cluster;
  private readonly pod: Pod;
  private readonly object: PodObject;
  private readonly events: PodEvents;

  private constructor(loading: Loading, cluster: Cluster, pod: Pod, object: PodObject) {
    this.loading = loading;
    this.cluster = cluster;
    this.pod = pod;
    this.object = object;
    const { name, namespace = '', uid = '', resourceVersion } = object.metadata;
    this.events = new PodEvents({ name, namespace, uid, resourceVersion }, { log: (line) => loading.log.error(line) });
  }

  /**
   * @returns undefined when there is no such pod any more
   * @throws CniError
   */
  static async find(loading: Loading, cluster: Cluster, pod: Pod): Promise<PodInCluster | undefined> {
    const object = await prefixRejection(loading.prefix, () => cluster.findPod(pod));
    return object && new PodInCluster(loading, cluster, pod, object);
  }

  /**
   * The networks of the pod: those of the configuration, and those that its annotations ask for, with its devices.
   *
   * @param configured undefined when a cluster network takes the place of the delegates
   * @throws CniError
   */
  networks(configured: readonly Network[] | undefined): Promise<readonly Delegate[]> {
    const { call, log, prefix } = this.loading;
    return prefixRejection(prefix, async () => {
      try {
        const { metadata } = this.object;
        const own = configured ?? (await clusterNetworks(this.loading, metadata.namespace ?? '', this.cluster));
        const { first, more } = await prefixRejection('error loading k8s delegates k8s args', () =>
          annotatedNetworks(this.object, call.conf, this.cluster.definitions),
        ); // upstream's words
        const networks = [...(first === undefined ? own : [first, ...own.slice(1)]), ...more];
        return withChain(call, await this.planned(networks), log);
      } catch (error) {
        this.noteMissing(error);
        throw error;
      }
    });
  }

  private async planned(networks: readonly Network[]): Promise<readonly Delegate[]> {
    const { scope, log } = this.loading;
    const wanted = networks.map(({ resourceName }) => resourceName);
    if (wanted.every((resource) => resource === '')) {
      return networks.map((network) => network.plan(undefined));
    }
    const sources = {
      pod: this.object,
      runtimeUid: this.pod.uid,
      api: await this.cluster.api(),
      warn: (message: string) => log.error(`warning: ${message}`),
    };
    const devices = await assignDevices(scope, sources, wanted);
    return networks.map((network, index) => network.plan(devices[index]));
  }

  private noteMissing(error: unknown): void {
    for (let cause = error; cause instanceof Error; cause = cause.cause) {
      if (cause instanceof DefinitionMissing) {
        this.events.record(noNetworkFound(cause.definition, cause.namespace, cause.reason));
        return;
      }
    }
  }

  /**
   * Shows the networks in the pod's annotation, and as events.
   *
   * @throws CniError when the annotation cannot be written, or another pod has the name now
   */
  async tell(networks: readonly ToldNetwork[]): Promise<void> {
    for (const [index, { attachment, added }] of networks.entries()) {
      const { name, list, runtime, requests } = attachment;
      this.events.record(addedInterface(runtime.ifName, added.result, name));
      const missing = index === 0 ? [] : unheeded(list, capabilitiesOf(requests));
      this.events.record(missing.length === 0 ? undefined : unheededCapabilities(name, missing));
    }
    const { call, prefix, scope, log } = this.loading;
    const rdma = call.conf.statusRdma ? await rdmaOfAll(scope, networks) : [];
    const text = statusText(
      networks.flatMap(({ attachment: { name }, added: { result, version }, deviceInfo }, index) =>
        networkStatuses({ name, isMaster: index === 0, result, version, deviceInfo, rdma: rdma[index] }),
      ),
    );
    const { name, namespace = '', uid = '' } = this.object.metadata;
    await prefixRejection(prefix, async () => {
      const api = await this.cluster.api();
      const [reported] = await Promise.allSettled([
        reportStatus(api, { name, namespace, uid }, text, scope),
        this.events.flush(api),
      ]);
      if (reported.status === 'rejected') {
        throw reported.reason;
      }
      if (reported.value === 'gone') {
        log.error(`warning: pod "${namespace}/${name}" is not in the cluster any more: its networks are shown nowhere`);
      }
    });
  }

  /** Events of an ADD that failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.events.flush(await this.cluster.api());
    } catch (error) {
      this.loading.log.error(messageOf(error));
    }
  }
}

/** Few want to know. */
async function rdmaOfAll(scope: Scope, networks: readonly ToldNetwork[]): Promise<readonly (RdmaStatus | undefined)[]> {
  const { rdmaOf } = await import('./rdma-of.ts');
  return rdmaOf(
    scope,
    networks.map(({ attachment: { runtime, requests }, added: { result } }) => ({
      ifName: runtime.ifName,
      result,
      deviceId: requests.deviceId ?? '',
    })),
  );
}

/** What a pod asks for, by the names of capabilities. */
function capabilitiesOf({
  ips,
  mac,
  infinibandGuid,
  portMappings,
  bandwidth,
  deviceId,
  resourceName,
}: Requests): JsonObject {
  return {
    ips,
    mac,
    infinibandGUID: infinibandGuid,
    portMappings,
    bandwidth,
    deviceID: resourceName === undefined ? deviceId : undefined,
  };
}
