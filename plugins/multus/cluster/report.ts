import { CniError, withPrefix } from '../../../lib/cni/errors.ts';
import { ApiError, type KubeApi, type ObjectPath } from '../../../lib/kube/api.ts';
import type { Clock } from '../../../lib/sys/clock.ts';
import { ANNOTATIONS, PODS, type PodObject } from './objects.ts';

/** The pod as it was when the call looked it up: a pod of the same name with another UID is another pod. */
export interface ReportedPod {
  readonly namespace: string;
  readonly name: string;
  /** of its object, which is not that of CNI_ARGS when the pod is static */
  readonly uid: string;
}

/** `gone`: there is no such pod any more, so that nobody misses the annotation. */
export type Reported = 'written' | 'gone';

/** As client-go's `RetryOnConflict` does by default. */
const ATTEMPTS = 5;
const PAUSE_MS = 10;

const FORBIDDEN = 403;
const NOT_FOUND = 404;
const CONFLICT = 409;
const INVALID = 422;

/**
 * Writes the annotation that shows a pod's networks: with one patch, which the server refuses for another pod of that
 * name. Where the role has no `patch`, as that of the Go plugin has none, the pod is read and its status replaced.
 *
 * @throws CniError in the Go plugin's words, also when another pod has the name now
 */
export async function reportStatus(
  api: KubeApi,
  pod: ReportedPod,
  text: string,
  { sleep }: Pick<Clock, 'sleep'>,
): Promise<Reported> {
  let write = patched;
  for (let attempt = 1; ; attempt++) {
    try {
      await write(api, pod, text);
      return 'written';
    } catch (error) {
      const { status, isOutcomeUnknown = false } = error instanceof ApiError ? error : {};
      if (status === NOT_FOUND) {
        return 'gone';
      }
      if (status === FORBIDDEN && write === patched) {
        write = replaced;
      } else if (attempt < ATTEMPTS && (status === CONFLICT || (isOutcomeUnknown && attempt === 1))) {
        await sleep(PAUSE_MS);
      } else {
        throw withPrefix('error setting the networks status', error);
      }
    }
  }
}

const objectPath = ({ namespace, name }: ReportedPod): ObjectPath => ({ resource: PODS, namespace, name });
const statusPath = (pod: ReportedPod): ObjectPath => ({ ...objectPath(pod), subresource: 'status' });

async function patched(api: KubeApi, pod: ReportedPod, text: string): Promise<void> {
  const metadata = { uid: pod.uid, annotations: { [ANNOTATIONS.status]: text } };
  try {
    await api.patch(statusPath(pod), { type: 'merge', body: { metadata } });
  } catch (error) {
    if (error instanceof ApiError && error.status === INVALID) {
      refuseAnother(pod, await foundInstead(api, pod, error)); // a UID cannot be changed
    }
    throw error;
  }
}

/** @throws `refused` when nobody knows, but ApiError when there is none */
async function foundInstead(api: KubeApi, pod: ReportedPod, refused: ApiError): Promise<PodObject> {
  try {
    return await api.get<PodObject>(objectPath(pod));
  } catch (error) {
    throw error instanceof ApiError && error.status === NOT_FOUND ? error : refused;
  }
}

/** The version that was read goes with it: whatever changes in between is a conflict. */
async function replaced(api: KubeApi, pod: ReportedPod, text: string): Promise<void> {
  const found = await api.get<PodObject>(objectPath(pod));
  refuseAnother(pod, found);
  const annotations = { ...found.metadata.annotations, [ANNOTATIONS.status]: text };
  await api.replace(statusPath(pod), { ...found, metadata: { ...found.metadata, annotations } });
}

/** The words are matched by others. */
function refuseAnother({ uid }: ReportedPod, { metadata }: PodObject): void {
  if (metadata.uid !== uid) {
    const found = JSON.stringify(metadata.uid ?? '');
    throw new CniError('internal', `expected pod UID ${JSON.stringify(uid)} but got ${found} from Kube API`);
  }
}
