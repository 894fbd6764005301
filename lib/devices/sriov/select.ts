import type { DeviceFacts } from '../facts.ts';
import { fullName } from '../names.ts';
import type { Held } from '../source.ts';
import type { DeviceKind, Selector, SriovResource } from './config.ts';
import { isInSets } from './function-set.ts';

/** A device of a resource, and the selector that chose it: it decides what the container gets. */
export interface Chosen {
  readonly facts: DeviceFacts;
  readonly selector: Selector;
}

export interface Pool {
  readonly resource: SriovResource;
  /** by ID */
  readonly devices: ReadonlyMap<string, Chosen>;
}

/**
 * Each device goes to the first selector that wants it, over all resources in their order. One that a container has stays
 * with its resource, whatever it looks like now; by a resource that is not among them, it belongs to none.
 */
export function assign(
  resources: readonly SriovResource[],
  devices: readonly DeviceFacts[],
  held: Held = new Map(),
): readonly Pool[] {
  const free = new Set(devices);
  const kept = new Map(resources.map((resource) => [resource, keptIn(resource, free, held)]));
  const taken = new Set([...held.values()].flatMap((ids) => [...ids]));
  for (const facts of devices.filter(({ id }) => taken.has(id))) {
    free.delete(facts);
  }
  return resources.map((resource) => {
    const chosen = new Map<string, Chosen>(kept.get(resource));
    for (const selector of resource.selectors) {
      for (const facts of free) {
        if (isOfKind(resource.kind, facts) && isSelected(resource.kind, selector, facts)) {
          free.delete(facts);
          chosen.set(facts.id, { facts, selector });
        }
      }
    }
    return { resource, devices: chosen };
  });
}

function keptIn(resource: SriovResource, free: Set<DeviceFacts>, held: Held): ReadonlyMap<string, Chosen> {
  const ids = held.get(fullName(resource));
  const kept = [...free].filter(({ id }) => ids?.has(id));
  return new Map(
    kept.flatMap((facts): readonly [string, Chosen][] => {
      const { kind, selectors } = resource;
      const selector = selectors.find((one) => isSelected(kind, one, facts)) ?? selectors[0];
      free.delete(facts);
      return selector === undefined ? [] : [[facts.id, { facts, selector }]];
    }),
  );
}

/** A card whose functions are handed out is not; nor is the one that the node itself talks through. */
function isOfKind(kind: DeviceKind, { bus, baseClass, hasVfs, isOfNode }: DeviceFacts): boolean {
  switch (kind) {
    case 'netDevice':
      return bus === 'pci' && baseClass === '02' && !hasVfs && !isOfNode;
    case 'accelerator':
      return bus === 'pci' && baseClass === '12' && !hasVfs;
    case 'auxNetDevice':
      return bus === 'auxiliary' && baseClass === '02';
  }
}

function isSelected(kind: DeviceKind, selector: Selector, facts: DeviceFacts): boolean {
  return (
    isAmong(selector.vendors, facts.vendor) &&
    isAmong(selector.devices, facts.device) &&
    isAmong(selector.drivers, facts.driver) &&
    (kind === 'auxNetDevice'
      ? isAmong(selector.auxTypes, facts.auxType)
      : isAmong(selector.pciAddresses, facts.id) && isAmong(selector.acpiIndexes, facts.acpiIndex)) &&
    (kind === 'accelerator' || isSelectedFunction(selector, facts)) &&
    (kind !== 'netDevice' || isSelectedCard(selector, facts))
  );
}

const isAmong = (wanted: readonly string[], value: string): boolean => wanted.length === 0 || wanted.includes(value);

function isSelectedFunction({ pfNames, rootDevices, linkTypes, isRdma }: Selector, facts: DeviceFacts): boolean {
  const { pfName, pfAddress, functionNumber } = facts;
  return (
    (pfNames.length === 0 || (pfName !== '' && isInSets(pfNames, pfName, functionNumber))) &&
    (rootDevices.length === 0 || (pfAddress !== '' && isInSets(rootDevices, pfAddress, functionNumber))) &&
    isAmong(linkTypes, facts.linkType) &&
    (!isRdma || facts.isRdma)
  );
}

const isSelectedCard = ({ ddpProfiles, pKeys, vdpaType }: Selector, facts: DeviceFacts): boolean =>
  isAmong(ddpProfiles, facts.ddpProfile) &&
  isAmong(pKeys, facts.linkType === 'infiniband' ? facts.pKey : '') &&
  (vdpaType === '' || facts.vdpa?.type === vdpaType);
