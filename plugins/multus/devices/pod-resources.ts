import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { callGrpc, GrpcError, STATUS } from '../../../lib/grpc/call.ts';
import { type Field, fieldsIn, messagesOf, textOf, textsOf, written } from '../../../lib/grpc/protobuf.ts';
import type { Clock } from '../../../lib/sys/clock.ts';
import { type Allocated, type Allocation, allocationOf, sortedAllocation } from './allocation.ts';

/** How a kubelet is asked. */
export interface Asking extends Clock {
  readonly signal: AbortSignal;
}

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/podresources/v1/api.proto: methods, and numbers of fields */
const SERVICE = '/v1.PodResourcesLister';
const REQUEST = { name: 1, namespace: 2 } as const;
const POD_RESOURCES = 1; // of the answers of both methods
const POD = { name: 1, namespace: 2, containers: 3 } as const;
const CONTAINER = { devices: 2 } as const;
const DEVICES = { resource: 1, ids: 2 } as const;

/** For a method, with all that is repeated. */
const TIMEOUT_MS = 10_000;
/** A kubelet answers 100 calls a second, and ten at once; when many pods start together, that is not enough. */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 100;
const SHORTEST_TRY_MS = 1000;
/** Too much to do; or not there at the moment, as while it is started again. */
const PASSING: readonly number[] = [STATUS.resourceExhausted, STATUS.unavailable];

/**
 * The devices of a pod as its kubelet knows them: asked for that pod, or, where the kubelet is older than 1.34 or has that
 * switched off, for all pods.
 *
 * @returns undefined for a pod that the kubelet does not know: one that has just started knows none
 * @throws GrpcError, CniError naming socket and method; the reason of the signal
 */
export async function podResources(
  asking: Asking,
  socket: string,
  pod: PodName,
  timeoutMs = TIMEOUT_MS,
): Promise<Allocation | undefined> {
  if (pod.name === '' || pod.namespace === '') {
    throw new CniError('internal', 'cannot ask the kubelet for devices: the pod has no name or no namespace');
  }
  const request = Buffer.concat([written(REQUEST.name, pod.name), written(REQUEST.namespace, pod.namespace)]);
  try {
    return await asked(asking, { socket, method: `${SERVICE}/Get`, request, timeoutMs }, pod);
  } catch (error) {
    if (isUnknown(error)) {
      return undefined;
    }
    if (!isUnsupported(error)) {
      throw error;
    }
  }
  return asked(asking, { socket, method: `${SERVICE}/List`, request: Buffer.alloc(0), timeoutMs }, pod);
}

/** Kubelets give the status `unknown` to all errors that have none of their own. */
const isUnknown = (error: unknown): boolean =>
  error instanceof GrpcError &&
  (error.status === STATUS.notFound || (error.status === STATUS.unknown && / not found$/.test(error.said)));

/** Not there, or there and switched off (before 1.36): "PodResources API Get method disabled". */
const isUnsupported = (error: unknown): boolean =>
  error instanceof GrpcError && (error.status === STATUS.unimplemented || error.status === STATUS.unknown);

interface Question {
  readonly socket: string;
  readonly method: string;
  readonly request: Buffer;
  readonly timeoutMs: number;
}

async function asked(asking: Asking, question: Question, pod: PodName): Promise<Allocation | undefined> {
  const answer = await patiently(asking, question);
  try {
    const devices = devicesIn(answer, pod);
    return devices && sortedAllocation(allocationOf(devices));
  } catch (error) {
    const { method, socket } = question;
    throw new CniError('internal', `cannot read the answer to ${method} of "${socket}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Tries again while there is time for an answer: the last refusal says more than that a try came too late. */
async function patiently({ now, sleep, signal }: Asking, { timeoutMs, ...call }: Question): Promise<Buffer> {
  const end = now() + timeoutMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const leftMs = Math.ceil(end - now());
    try {
      return await callGrpc({ ...call, timeoutMs: leftMs, signal });
    } catch (error) {
      const isPassing = error instanceof GrpcError && PASSING.includes(error.status);
      if (!isPassing || end - now() < pause + SHORTEST_TRY_MS) {
        throw error;
      }
    }
    await sleep(pause);
  }
}

/** Numbers of processors, memory and claims in there are passed over. */
function devicesIn(answer: Buffer, { name, namespace }: PodName): readonly Allocated[] | undefined {
  const pods = messagesOf(fieldsIn(answer), POD_RESOURCES).filter(
    (pod) => textOf(pod, POD.name) === name && textOf(pod, POD.namespace) === namespace,
  );
  return pods.length === 0
    ? undefined
    : pods
        .flatMap((pod) => messagesOf(pod, POD.containers))
        .flatMap((container) => messagesOf(container, CONTAINER.devices))
        .map(allocatedIn);
}

const allocatedIn = (devices: readonly Field[]): Allocated => ({
  resource: textOf(devices, DEVICES.resource),
  ids: textsOf(devices, DEVICES.ids),
});
