import { CniError, withPrefix } from '../../../lib/cni/errors.ts';
import { ApiError, type KubeApi } from '../../../lib/kube/api.ts';
import { faultOf } from '../../../lib/kube/faults.ts';
import { type Clock, poll } from '../../../lib/sys/clock.ts';
import type { Pod } from '../runtime-args.ts';
import { ANNOTATIONS, PODS, type PodObject } from './objects.ts';

const NOT_FOUND = 404;

/** The kubelet starts a static pod when it reads its file, and makes its object when the API server lets it. */
const MIRROR_MS = 10_000;
const RHYTHM = { firstMs: 100, longestMs: 1000 };

/**
 * Asks for the pod that the runtime means.
 *
 * @returns undefined when there is no such pod: it was deleted meanwhile
 * @throws CniError tryAgainLater when the server does not answer, or does not know a static pod yet; internal when it
 * knows another pod of that name
 */
export async function findPod(api: KubeApi, pod: Pod, clock: Clock): Promise<PodObject | undefined> {
  let object: PodObject | undefined;
  try {
    object = await (isStaticUid(pod.uid) ? poll(clock, MIRROR_MS, RHYTHM, () => getPod(api, pod)) : getPod(api, pod));
  } catch (error) {
    throw withPrefix('error waiting for pod', faultOf(error));
  }
  if (object === undefined && isStaticUid(pod.uid)) {
    const why = 'the API server does not know it yet, and what networks it has is known there only';
    throw new CniError('tryAgainLater', `error waiting for pod: cannot attach a static pod: ${why}`);
  }
  return object && refuseAnother(object, pod);
}

async function getPod(api: KubeApi, { namespace, name }: Pod): Promise<PodObject | undefined> {
  try {
    return await api.get<PodObject>({ resource: PODS, namespace, name });
  } catch (error) {
    if (error instanceof ApiError && error.status === NOT_FOUND) {
      return undefined;
    }
    throw error;
  }
}

/** The object of a static pod has a UID of its own; any other pod with another UID is one that came later. */
function refuseAnother(object: PodObject, { uid }: Pod): PodObject {
  const found = object.metadata.uid ?? '';
  if (uid !== '' && uid !== found && !isStatic(object)) {
    // words that test suites look for
    throw new CniError(
      'internal',
      `expected pod UID ${JSON.stringify(uid)} but got ${JSON.stringify(found)} from Kube API`,
    );
  }
  return object;
}

const isStatic = ({ metadata }: PodObject): boolean => (metadata.annotations?.[ANNOTATIONS.source] ?? 'api') !== 'api';

/** The kubelet's own: a checksum of the file that the pod is in. */
const isStaticUid = (uid: string): boolean => /^[0-9a-f]{32}$/.test(uid);
