/** Finds devices in sysfs. One that cannot be read is left out, and said. */
import { join } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import { type Bus, BusFolder, namesIn } from './bus-folder.ts';
import type { DeviceFacts, KernelFacts } from './facts.ts';
import { PhysicalFunctions } from './physical-functions.ts';

export interface Found {
  readonly devices: readonly DeviceFacts[];
  /** devices that are left out: one sentence each */
  readonly faults: readonly string[];
}

/** What sysfs alone tells of a device. */
export interface SysfsFacts extends Omit<DeviceFacts, 'linkType' | 'vdpa' | 'ddpProfile' | 'isOfNode'> {
  readonly netdevs: readonly string[];
}

export interface DeviceName {
  readonly bus: Bus;
  readonly name: string;
}

/** `driver.type.number` */
const AUXILIARY_NAME = /^[^.]+\.([^.]+)\.\d+$/;
const [NETWORK, ACCELERATOR] = ['02', '12'] as const;

/** Names of all devices on the buses that matter, sorted by bus and name. */
export const deviceNames = (sysfs: string): readonly DeviceName[] =>
  (['pci', 'auxiliary'] as const).flatMap((bus) =>
    namesIn(join(sysfs, 'bus', bus, 'devices')).map((name) => ({ bus, name })),
  );

/**
 * All network devices and accelerators with a driver, by bus and name.
 *
 * @param sysfs root of sysfs
 */
export function discover(sysfs: string, kernel: KernelFacts): Found {
  const functions = new PhysicalFunctions(sysfs, kernel.eswitchModes);
  const read = deviceNames(sysfs).map((name) => readDevice(sysfs, name, functions));
  return {
    devices: read.flatMap(({ facts }) => (facts === undefined ? [] : [withKernel(facts, kernel)])),
    faults: read.flatMap(({ fault }) => fault ?? []),
  };
}

/** Reads one device; neither facts nor fault: it is nothing to hand out. */
export function readDevice(
  sysfs: string,
  { bus, name }: DeviceName,
  functions: PhysicalFunctions,
): { readonly facts?: SysfsFacts | undefined; readonly fault?: string } {
  try {
    const folder = new BusFolder(sysfs, bus, name);
    return { facts: bus === 'pci' ? pciFacts(folder, functions) : auxiliaryFacts(folder, functions) };
  } catch (error) {
    return { fault: `cannot use device "${name}": ${messageOf(error)}` };
  }
}

/** Adds what the kernel tells of a device. */
export function withKernel({ netdevs, ...facts }: SysfsFacts, kernel: KernelFacts): DeviceFacts {
  const isPci = facts.bus === 'pci';
  return {
    ...facts,
    isRdma: facts.isRdma || kernel.rdmaEnabled.has(facts.id),
    linkType: kernel.linkTypes.get(facts.netdev) ?? kernel.linkTypes.get(facts.pfName) ?? '',
    vdpa: isPci ? kernel.vdpa.get(facts.id) : undefined,
    ddpProfile: (isPci && (kernel.ddpProfiles.get(facts.id) ?? kernel.ddpProfiles.get(facts.pfAddress))) || '',
    // a scalable function of the node's own card is meant for pods
    isOfNode: isPci && netdevs.some((name) => kernel.routed.has(name)),
  };
}

function pciFacts(folder: BusFolder, functions: PhysicalFunctions): SysfsFacts | undefined {
  const identity = identityOf(folder);
  if (identity.baseClass !== NETWORK && identity.baseClass !== ACCELERATOR) {
    return undefined;
  }
  const pfAddress = folder.link('physfn');
  const pf = pfAddress === '' ? undefined : functions.at(pfAddress);
  const common = commonOf(folder);
  return {
    ...common,
    ...identity,
    bus: 'pci',
    pciAddress: folder.name,
    driver: driverOrFault(folder),
    auxType: '',
    pfAddress,
    pfName: pf?.netdev ?? '',
    functionNumber: pf?.numbers.get(folder.name),
    pKey:
      common.rdmaDevices.length === 0 ? '' : folder.attribute(`infiniband/${common.rdmaDevices[0]}/ports/1/pkeys/0`),
    hasVfs: Number(folder.attribute('sriov_numvfs')) > 0,
  };
}

function auxiliaryFacts(folder: BusFolder, functions: PhysicalFunctions): SysfsFacts | undefined {
  const [, auxType] = AUXILIARY_NAME.exec(folder.name) ?? [];
  const number = folder.attribute('sfnum');
  const parent = auxType === undefined || number === '' ? undefined : folder.pciParent();
  if (auxType === undefined || parent === undefined) {
    return undefined; // RDMA, Ethernet and the like: parts of a device, not devices of their own
  }
  return {
    ...commonOf(folder),
    ...identityOf(parent),
    bus: 'auxiliary',
    pciAddress: parent.name,
    driver: driverOrFault(parent),
    numaNode: numaNodeOf(folder) ?? numaNodeOf(parent),
    auxType,
    pfAddress: parent.name,
    pfName: functions.at(parent.name).netdev,
    functionNumber: Number(number),
    pKey: '',
    hasVfs: false,
  };
}

function commonOf(folder: BusFolder) {
  const [netdevs, rdmaDevices] = [folder.netNames(), folder.names('infiniband')];
  return {
    id: folder.name,
    place: folder.place(),
    netdevs,
    netdev: netdevs[0] ?? '',
    numaNode: numaNodeOf(folder),
    acpiIndex: folder.attribute('acpi_index'),
    rdmaDevices,
    isRdma: rdmaDevices.length > 0,
  };
}

/** One file tells all; where it is odd, three do. */
function identityOf(folder: BusFolder): Pick<DeviceFacts, 'vendor' | 'device' | 'baseClass'> {
  const alias = /^pci:v0000(\w{4})d0000(\w{4})sv\w{8}sd\w{8}bc(\w{2})/i.exec(folder.attribute('modalias'));
  const [vendor = '', device = '', baseClass = ''] = (
    alias?.slice(1) ?? [
      hex(folder.attribute('vendor'), 4),
      hex(folder.attribute('device'), 4),
      hex(folder.attribute('class'), 6).slice(0, 2),
    ]
  ).map((part) => part.toLowerCase());
  if (vendor === '' || device === '' || baseClass === '') {
    throw new Error('sysfs does not tell what it is');
  }
  return { vendor, device, baseClass };
}

const hex = (text: string, digits: number): string =>
  text === '' ? '' : text.replace(/^0x/i, '').padStart(digits, '0');

function driverOrFault(folder: BusFolder): string {
  const driver = folder.link('driver');
  if (driver === '') {
    throw new Error('no driver is bound to it');
  }
  return driver;
}

function numaNodeOf(folder: BusFolder): number | undefined {
  const text = folder.attribute('numa_node');
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
