import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CniError, withPrefix } from '../../../lib/cni/errors.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import type { PodObject } from '../cluster/objects.ts';
import { type Allocation, giveOut, joinedAllocations, shortages } from './allocation.ts';
import { checkpointDevices } from './checkpoint.ts';
import { claimedDevices, hasClaims } from './claims.ts';
import { type Asking, podResources } from './pod-resources.ts';

const SOCKET = 'var/lib/kubelet/pod-resources/kubelet.sock';
const CHECKPOINT = 'var/lib/kubelet/device-plugins/kubelet_internal_checkpoint';

/** Whose devices, and who knows them. */
export interface DeviceSources {
  readonly pod: PodObject;
  /** what the runtime says; it has it from the kubelet, whose static pods have other UIDs than the API server shows */
  readonly runtimeUid: string;
  readonly api: KubeApi | undefined;
  readonly warn: (message: string) => void;
  /** where the kubelet's folders are */
  readonly root?: string;
}

/**
 * The devices for the networks of a pod. Each network that wants a device of a resource gets the next one, whichever way
 * the pod has come to the network: call it once for an ADD, with all networks in their order.
 *
 * @param wanted for each network the resource of which it wants a device; undefined or '': none
 * @returns for each network the ID of its device; undefined when it wants none, or there is none (left)
 * @throws CniError, ApiError when it cannot be found out; the reason of the signal
 */
export async function assignDevices(
  asking: Asking,
  sources: DeviceSources,
  wanted: readonly (string | undefined)[],
): Promise<readonly (string | undefined)[]> {
  if (!wanted.some(Boolean)) {
    return wanted.map(() => undefined);
  }
  const ofKubelet = await kubeletDevices(asking, sources);
  const missing = shortages(ofKubelet, wanted);
  const { api, pod, warn } = sources;
  const all =
    missing.size === 0 || api === undefined || !hasClaims(pod)
      ? ofKubelet
      : joinedAllocations(ofKubelet, await claimedDevices(asking, { api, pod, wanted: missing, warn }));
  for (const resource of shortages(all, wanted)) {
    warn(`not every network gets a device of "${resource}": the pod has ${all.get(resource)?.length ?? 0}`);
  }
  return giveOut(all, wanted);
}

/**
 * What the kubelet says, or its record: where it has no socket, and where it does not know the pod, as in the second after
 * its start, when it knows none yet. What it has given to a pod is in its record before the pod gets a network.
 */
async function kubeletDevices(
  asking: Asking,
  { pod, runtimeUid, root = '/' }: Pick<DeviceSources, 'pod' | 'runtimeUid' | 'root'>,
): Promise<Allocation> {
  const { name, namespace = '', uid = '' } = pod.metadata;
  const [socket, checkpoint] = [join(root, SOCKET), join(root, CHECKPOINT)];
  try {
    const hasSocket = existsSync(socket);
    const known = hasSocket ? await podResources(asking, socket, { name, namespace }) : undefined;
    if (known !== undefined || (hasSocket && !existsSync(checkpoint))) {
      return known ?? new Map();
    }
    return checkpointDevices(checkpoint, runtimeUid || uid);
  } catch (error) {
    // the words by which the Go plugin says it
    throw error instanceof CniError ? withPrefix('failed to get a ResourceClient instance', error) : error;
  }
}
