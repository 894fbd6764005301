import * as z from 'zod/mini';
import {
  anyValue,
  type Conf,
  flag,
  list,
  maybeText,
  object,
  oneOf,
  readConf,
  text,
  textTables,
} from '../../cni/config.ts';
import { messageOf } from '../../cni/errors.ts';
import { isObject, type Json, type JsonObject } from '../../cni/json.ts';
import type { HealthRules } from '../health.ts';
import { HEALTH, rulesOf } from '../health-config.ts';
import { checkResourceName, fullName, type ResourceName, variableNames } from '../names.ts';
import { POLICIES, type Policy } from '../placement.ts';
import { type FunctionSet, parseFunctionSet } from './function-set.ts';

/** `/etc/pcidp/config.json`, as operators and the Go device plugin write and read it. */
export const KINDS = ['netDevice', 'accelerator', 'auxNetDevice'] as const;
export type DeviceKind = (typeof KINDS)[number];

const words = (about: string) => list(z.string(), about);

export const SriovSelector = object({
  vendors: words('Vendor IDs, four hex digits: `15b3`.'),
  devices: words('Device IDs, four hex digits; of a scalable function those of its PCI device.'),
  drivers: words('Names of drivers.'),
  pciAddresses: words('PCI addresses: `0000:65:02.3`.'),
  acpiIndexes: words('ACPI indexes.'),
  auxTypes: words('Types of auxiliary devices: `sf`.'),
  pfNames: words('Interfaces of physical functions, with the numbers of their VFs: `ens1f0#0-3,7`.'),
  rootDevices: words('PCI addresses of physical functions, with the numbers of their VFs.'),
  linkTypes: words('`ether`, `infiniband`.'),
  ddpProfiles: words('Names of DDP packages of Intel cards.'),
  pKeys: words('Partition keys of InfiniBand.'),
  isRdma: flag('Only devices with RDMA, whose device files the container gets.'),
  needVhostNet: flag('The container gets `/dev/vhost-net` and `/dev/net/tun` too.'),
  vdpaType: oneOf(['', 'vhost', 'virtio'], '', 'Only devices with a vDPA device of this type.'),
});

const Resource = object({
  resourceName: text('Name of the resource, without its prefix.'),
  resourcePrefix: maybeText('Prefix of its name (default: `--resource-prefix`).'),
  deviceType: oneOf(KINDS, 'netDevice', 'What is looked for.'),
  excludeTopology: flag('Do not tell the kubelet the NUMA nodes.'),
  selectors: anyValue('A selector, or a list of them: which devices belong to it.'),
  allocation: oneOf(POLICIES, '', 'Which devices a container gets: `packed`, `balanced` or `near` (default: any).'),
  health: HEALTH,
  additionalInfo: textTables(
    'By device ID, or `*` for all, what the container is told beside; of a scalable function by the ID of its PCI device.',
  ),
});

export const SriovConfig = object({ resourceList: list(Resource, 'The resources; a device belongs to the first.') });

type Lists =
  | 'vendors'
  | 'devices'
  | 'drivers'
  | 'pciAddresses'
  | 'acpiIndexes'
  | 'auxTypes'
  | 'linkTypes'
  | 'ddpProfiles'
  | 'pKeys';

/** Which devices are wanted: all that is given must be met. Empty lists mean any. */
export interface Selector extends Pick<Conf<typeof SriovSelector>, Lists | 'isRdma' | 'needVhostNet' | 'vdpaType'> {
  readonly pfNames: readonly FunctionSet[];
  readonly rootDevices: readonly FunctionSet[];
}

export interface SriovResource extends ResourceName {
  readonly kind: DeviceKind;
  readonly hasTopology: boolean;
  readonly selectors: readonly Selector[];
  readonly allocation: Policy;
  readonly health: HealthRules;
  /** by device ID, or `*` for all: what the container is told beside */
  readonly additionalInfo: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/**
 * Reads the configuration of SR-IOV resources.
 *
 * @param prefix of resources that name none
 * @throws Error naming the key and the value
 */
export function readSriovConfig(content: string, prefix: string): readonly SriovResource[] {
  const document = parse(content);
  const { resourceList } = readConf(SriovConfig, document);
  if (resourceList.length === 0) {
    throw new Error('cannot use "resourceList": there is no resource in it');
  }
  const resources = resourceList.map((one, at) => resourceOf(one, `resourceList.${at}`, prefix));
  demandDistinct(resources.map(fullName), 'name');
  demandDistinct(resources.flatMap(variableNames), 'environment variable');
  return resources;
}

function parse(content: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new Error(`it is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(value)) {
    throw new Error('it is not an object');
  }
  return value;
}

function resourceOf(one: Conf<typeof Resource>, what: string, defaultPrefix: string): SriovResource {
  const { resourceName: name, resourcePrefix, deviceType: kind, excludeTopology, additionalInfo } = one;
  const prefix = resourcePrefix || defaultPrefix;
  if (!/^[a-zA-Z0-9_-]+$/.test(name)) {
    throw new Error(
      `cannot use "${what}.resourceName" ${JSON.stringify(name)}: only letters, digits, "_" and "-" are possible`,
    );
  }
  checkResourceName({ prefix, name }, what);
  const selectors = selectorsIn(one.selectors as Json | undefined, `${what}.selectors`);
  for (const [at, selector] of selectors.entries()) {
    checkSelector(kind, selector, `${what}.selectors.${at}`);
  }
  return {
    prefix,
    name,
    kind,
    hasTopology: !excludeTopology,
    selectors,
    allocation: one.allocation,
    health: rulesOf(one.health),
    additionalInfo,
  };
}

function selectorsIn(value: Json | undefined, what: string): readonly Selector[] {
  const all = isObject(value) ? [value] : value;
  if (!Array.isArray(all) || all.length === 0) {
    throw new Error(`cannot use "${what}": it is neither a selector nor a list with at least one`);
  }
  return all.map((one, at) => {
    const here = `${what}.${at}`;
    if (!isObject(one)) {
      throw new Error(`cannot use "${here}": it is not an object`);
    }
    const { pfNames, rootDevices, ...rest } = readConf(SriovSelector, one, here);
    return {
      ...rest,
      pfNames: pfNames.map((item) => parseFunctionSet(item, `${here}.pfNames`)),
      rootDevices: rootDevices.map((item) => parseFunctionSet(item, `${here}.rootDevices`)),
    };
  });
}

function checkSelector(kind: DeviceKind, { isRdma, vdpaType, auxTypes }: Selector, what: string): void {
  if (kind === 'netDevice' && isRdma && vdpaType !== '') {
    throw new Error(`cannot use "${what}": "isRdma" and "vdpaType" exclude each other`);
  }
  if (kind === 'auxNetDevice' && (auxTypes.length === 0 || auxTypes.some((type) => type !== 'sf'))) {
    throw new Error(`cannot use "${what}.auxTypes": it must be a list with nothing but "sf"`);
  }
}

function demandDistinct(names: readonly string[], what: string): void {
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new Error(`cannot use "resourceList": two resources have the ${what} "${twice}"`);
  }
}
