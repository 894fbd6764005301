/** Places of a resource of which a container gets certain devices: each device has as many as the resource says. */
import type { DeviceFacts } from '../facts.ts';
import type { ListedDevice, PreferenceRequest } from '../kubelet/messages.ts';

/** The device that a place belongs to: `0000:65:00.0-3` is the fourth of `0000:65:00.0`. */
export const deviceOf = (place: string): string => place.replace(/-\d+$/, '');

export interface Shared extends Pick<DeviceFacts, 'id' | 'numaNode'> {
  readonly isWell: boolean;
}

/** Places of all devices, with those of devices that have gone: the kubelet may have given them to containers. */
export function placesOf(
  devices: readonly Shared[],
  count: number,
  before: readonly ListedDevice[],
): readonly ListedDevice[] {
  const there = new Set(devices.map(({ id }) => id));
  const gone = before.filter(({ ID }) => !there.has(deviceOf(ID)));
  return [
    ...devices.flatMap(({ id, numaNode, isWell }) =>
      Array.from({ length: count }, (_, at): ListedDevice => {
        const topology = numaNode === undefined ? {} : { topology: { nodes: [{ ID: numaNode }] } };
        return { ID: `${id}-${at}`, health: isWell ? 'Healthy' : 'Unhealthy', ...topology };
      }),
    ),
    ...gone.map((place): ListedDevice => ({ ...place, health: 'Unhealthy' })),
  ];
}

/** Places for one container: of as many devices as possible, and of those that have the most left. */
export function choosePlaces(request: PreferenceRequest): readonly string[] {
  const { availableDeviceIDs, mustIncludeDeviceIDs, allocationSize } = request;
  const chosen = [...mustIncludeDeviceIDs];
  const free = new Set([...availableDeviceIDs].filter((id) => !chosen.includes(id)).sort());
  while (chosen.length < allocationSize && free.size > 0) {
    const taken = (device: string): number => chosen.filter((id) => deviceOf(id) === device).length;
    const byDevice = [...Map.groupBy(free, deviceOf)].sort(
      ([a, left], [b, right]) => taken(a) - taken(b) || right.length - left.length,
    );
    const place = byDevice[0]?.[1][0] ?? '';
    chosen.push(place);
    free.delete(place);
  }
  return chosen;
}
