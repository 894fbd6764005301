import { messageOf } from '../../cni/errors.ts';
import type { ReadAccess } from '../../kube/access.ts';
import { ApiError, type KubeObject, type ObjectPath } from '../../kube/api.ts';
import { openClient } from '../../kube/client.ts';
import type { Clock } from '../../sys/clock.ts';
import { poll } from '../../sys/clock.ts';

/** What a release runs. */
export type Workload = 'daemonsets' | 'deployments';

export interface WorkloadName {
  readonly namespace: string;
  readonly name: string;
}

const NOT_FOUND = 404;

/** Pods of every node end before it is gone. */
const TIMEOUT_MS = 300_000;
const BACKOFF = { firstMs: 250, longestMs: 2_000 } as const;

const KINDS: Readonly<Record<Workload, string>> = { daemonsets: 'DaemonSet', deployments: 'Deployment' };

const pathOf = (plural: Workload, { namespace, name }: WorkloadName): ObjectPath => ({
  resource: { group: 'apps', version: 'v1', plural },
  namespace,
  name,
});

/**
 * Is the DaemonSet deleted, or about to be? Then the end of a pod of it is no update and no restart.
 *
 * @returns why it cannot be known, when the server says neither
 */
export async function isGoing(readAccess: ReadAccess, name: WorkloadName): Promise<boolean | string> {
  try {
    using client = await openClient(readAccess, { namespace: name.namespace });
    const { metadata } = await client.api().get<KubeObject>(pathOf('daemonsets', name));
    return metadata.deletionTimestamp !== undefined;
  } catch (error) {
    return error instanceof ApiError && error.status === NOT_FOUND ? true : messageOf(error);
  }
}

/**
 * Deletes a DaemonSet or a Deployment, and waits until its pods have ended: those of the DaemonSet restore their nodes
 * when they do.
 *
 * @returns whether there was one
 * @throws ApiError; Error when it takes too long
 */
export async function deleteWorkload(
  readAccess: ReadAccess,
  plural: Workload,
  name: WorkloadName,
  clock: Clock,
): Promise<boolean> {
  using client = await openClient(readAccess, { namespace: name.namespace });
  const api = client.api();
  const path = pathOf(plural, name);
  const look = async (): Promise<boolean> => {
    try {
      await api.get(path);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === NOT_FOUND) {
        return false;
      }
      throw error;
    }
  };
  if (!(await look())) {
    return false;
  }
  await api.delete(path, {}, 'Foreground');
  const gone = await poll(clock, TIMEOUT_MS, BACKOFF, async () => ((await look()) ? undefined : true));
  if (gone === undefined) {
    throw new Error(`cannot delete ${KINDS[plural]} "${name.namespace}/${name.name}": its pods are still there`);
  }
  return true;
}
