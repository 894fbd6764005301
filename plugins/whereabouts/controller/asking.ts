/** How the controller asks and changes: what is gone is gone, and who was faster is right. */
import { ApiError, type KubeApi, type KubeObject, type ObjectPath } from '../../../lib/kube/api.ts';
import { type IpReservation, reservationAt } from '../cluster/objects.ts';

export const [NOT_FOUND, CONFLICT, INVALID] = [404, 409, 422] as const;

export const statusOf = (error: unknown): number | undefined => (error instanceof ApiError ? error.status : undefined);

/** @returns undefined when there is none */
export async function found<T extends KubeObject>(api: KubeApi, path: ObjectPath): Promise<T | undefined> {
  try {
    return await api.get<T>(path);
  } catch (error) {
    if (statusOf(error) === NOT_FOUND) {
      return undefined;
    }
    throw error;
  }
}

export const podAt = (namespace: string, name: string): ObjectPath => ({
  resource: { group: '', version: 'v1', plural: 'pods' },
  namespace,
  name,
});

/**
 * Deletes this very reservation, as it was seen.
 *
 * @returns false when it has changed, or is gone
 */
export async function deleteReservation(api: KubeApi, { metadata }: IpReservation): Promise<boolean> {
  const { name, uid, resourceVersion } = metadata;
  try {
    await api.delete(reservationAt(api.namespace, name), {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    });
    return true;
  } catch (error) {
    if ([NOT_FOUND, CONFLICT].includes(statusOf(error) as 404)) {
      return false;
    }
    throw error;
  }
}
