/** Which devices of a resource a pod has: ids in the order in which networks get them. */
export type Allocation = ReadonlyMap<string, readonly string[]>;

/** Devices of one resource, as one source names them. */
export interface Allocated {
  readonly resource: string;
  readonly ids: readonly string[];
}

/**
 * Everything together: of a resource that several name, the earlier ones' devices come first. A device that is named
 * twice, as that of an init container and of the container that takes it over, is one device.
 */
export function allocationOf(parts: Iterable<Allocated>): Allocation {
  const allocation = new Map<string, string[]>();
  for (const { resource, ids } of parts) {
    allocation.set(resource, [...new Set([...(allocation.get(resource) ?? []), ...ids])]);
  }
  return allocation;
}

/** The same with the devices of each resource in the order of their ids: what comes from a kubelet has no order. */
export const sortedAllocation = (allocation: Allocation): Allocation =>
  new Map([...allocation].map(([resource, ids]) => [resource, ids.toSorted()]));

/** Both, the first one's devices before the second one's. */
export const joinedAllocations = (...allocations: readonly Allocation[]): Allocation =>
  allocationOf(allocations.flatMap((one) => [...one].map(([resource, ids]) => ({ resource, ids }))));

/**
 * Gives devices out, in order, to those who want one of a resource.
 *
 * @param wanted names of resources; undefined and '': none
 * @returns a device for each, undefined where there is none, or none left
 */
export function giveOut(
  allocation: Allocation,
  wanted: readonly (string | undefined)[],
): readonly (string | undefined)[] {
  const given = new Map<string, number>();
  return wanted.map((resource) => {
    if (!resource) {
      return undefined;
    }
    const turn = given.get(resource) ?? 0;
    given.set(resource, turn + 1);
    return allocation.get(resource)?.[turn];
  });
}

/** Resources of which more are wanted than there are. */
export function shortages(allocation: Allocation, wanted: readonly (string | undefined)[]): ReadonlySet<string> {
  const turns = Map.groupBy(wanted, (resource) => resource ?? '');
  turns.delete('');
  return new Set(
    [...turns.keys()].filter((name) => (allocation.get(name) ?? []).length < (turns.get(name) ?? []).length),
  );
}
