import { callGrpc } from '../../grpc/call.ts';
import { fieldsIn, messagesOf, textOf, textsOf } from '../../grpc/protobuf.ts';

/** A container that has devices. */
export interface Holder {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** `intel.com/vf` */
  readonly resource: string;
  readonly ids: readonly string[];
}

/** https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/podresources/v1/api.proto */
const LIST = '/v1.PodResourcesLister/List';
const PODS = 1;
const POD = { name: 1, namespace: 2, containers: 3 } as const;
const CONTAINER = { name: 1, devices: 2 } as const;
const DEVICES = { resource: 1, ids: 2 } as const;
const TIMEOUT_MS = 5_000;

/**
 * Who has which devices, by the kubelet's word.
 *
 * @param socket `/var/lib/kubelet/pod-resources/kubelet.sock`
 * @throws GrpcError, SyntaxError, RangeError
 */
export async function listHolders(socket: string, signal?: AbortSignal): Promise<readonly Holder[]> {
  const request = Buffer.alloc(0);
  const answer = await callGrpc({ socket, method: LIST, request, timeoutMs: TIMEOUT_MS, ...(signal && { signal }) });
  return messagesOf(fieldsIn(answer), PODS).flatMap((pod) =>
    messagesOf(pod, POD.containers).flatMap((container) =>
      messagesOf(container, CONTAINER.devices).map((devices) => ({
        namespace: textOf(pod, POD.namespace),
        pod: textOf(pod, POD.name),
        container: textOf(container, CONTAINER.name),
        resource: textOf(devices, DEVICES.resource),
        ids: textsOf(devices, DEVICES.ids),
      })),
    ),
  );
}

/** Which devices are held, by resource. */
export function heldBy(holders: readonly Pick<Holder, 'resource' | 'ids'>[]): ReadonlyMap<string, ReadonlySet<string>> {
  const groups = Map.groupBy(holders, ({ resource }) => resource);
  return new Map([...groups].map(([resource, all]) => [resource, new Set(all.flatMap(({ ids }) => ids))]));
}
