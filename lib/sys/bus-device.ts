import { existsSync, globSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CniError } from '../cni/errors.ts';
import { isMissing } from './io-error.ts';

/** A bus device as sysfs shows it: a PCI function, or a scalable function on the auxiliary bus. */
export interface BusDevice {
  readonly bus: 'pci' | 'auxiliary';
  /** `0000:65:02.3` or `mlx5_core.sf.4` */
  readonly name: string;
  /** its sysfs folder */
  readonly folder: string;
}

const PCI_ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Drivers for userspace programs: the kernel has no interface then. */
const USERSPACE_DRIVERS = ['vfio-pci', 'uio_pci_generic', 'igb_uio'];

export const isPciAddress = (text: string): boolean => PCI_ADDRESS.test(text.toLowerCase());

/**
 * Finds a PCI function by its address; case does not matter.
 *
 * @param what the key, for messages
 * @param sysfs root of sysfs
 * @returns undefined when there is no such device
 * @throws CniError invalidNetworkConfig when the text is not a PCI address: it becomes part of a path
 */
export function findPciDevice(text: string, what: string, sysfs: string): BusDevice | undefined {
  if (!isPciAddress(text)) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "${what}" ${JSON.stringify(text)}: it is not a PCI address such as 0000:65:02.3`,
    );
  }
  return deviceIn('pci', text.toLowerCase(), sysfs);
}

/**
 * Finds a device by the name that device plugins use: a PCI address, or a name on the auxiliary bus.
 *
 * @returns undefined when there is no such device on either bus
 * @throws CniError invalidNetworkConfig when the text cannot be a name: it becomes part of a path
 */
export function findBusDevice(text: string, what: string, sysfs: string): BusDevice | undefined {
  if (isPciAddress(text)) {
    return findPciDevice(text, what, sysfs);
  }
  if (!/^[\w.:-]+$/.test(text) || /^\.+$/.test(text)) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "${what}" ${JSON.stringify(text)}: it is neither a PCI address nor the name of an auxiliary device`,
    );
  }
  return deviceIn('auxiliary', text, sysfs);
}

/** Names of the device's network interfaces, sorted: only those in the namespace that sysfs was mounted in. */
export function netNamesOf({ folder }: BusDevice): readonly string[] {
  const own = namesIn(join(folder, 'net'));
  // a virtio device hides its interface one level below
  return own.length > 0
    ? own
    : globSync('virtio*/net/*', { cwd: folder })
        .map((path) => basename(path))
        .sort();
}

/** Names of the device's RDMA devices: only those in the namespace that sysfs was mounted in. */
export const rdmaNamesOf = ({ folder }: BusDevice): readonly string[] => namesIn(join(folder, 'infiniband'));

/** The driver bound to the device; undefined when there is none. */
export function driverOf({ folder }: BusDevice): string | undefined {
  const path = linkIn(folder, 'driver');
  return path === undefined ? undefined : basename(path);
}

/** Whether a userspace driver is bound: vfio or a predecessor. */
export const isUserspace = (device: BusDevice): boolean =>
  USERSPACE_DRIVERS.includes(driverOf(device) ?? '') || existsSync(join(device.folder, 'vfio-dev'));

/** The PF of a VF; undefined for other devices. */
export function physicalFunctionOf({ folder }: BusDevice): BusDevice | undefined {
  const path = linkIn(folder, 'physfn');
  return path === undefined ? undefined : { bus: 'pci', name: basename(path), folder: join(folder, path) };
}

/** The number of a VF in its PF; undefined when the VF belongs to another PF. */
export function vfNumberOf(vf: BusDevice, pf: BusDevice): number | undefined {
  const links = readdirOrNone(pf.folder).filter((name) => /^virtfn\d+$/.test(name));
  const link = links.find((name) => basename(linkIn(pf.folder, name) ?? '') === vf.name);
  return link === undefined ? undefined : Number(link.slice('virtfn'.length));
}

/** Text of one of the device's files without the final newline; undefined when there is no such file. */
export function attributeOf({ folder }: BusDevice, path: string): string | undefined {
  try {
    return readFileSync(join(folder, path), 'utf8').trimEnd();
  } catch {
    return undefined; // some files return EOPNOTSUPP if the driver does not support them
  }
}

function deviceIn(bus: BusDevice['bus'], name: string, sysfs: string): BusDevice | undefined {
  const folder = join(sysfs, 'bus', bus, 'devices', name);
  return existsSync(folder) ? { bus, name, folder: realpathSync(folder) } : undefined;
}

/**
 * Distinguishes a device from another that takes its place on the bus: a recreated VF, a replaced card. The kernel
 * makes a sysfs folder for each, and does not reuse its inode until reboot.
 *
 * @param name on any bus: `0000:65:02.3`, `virtio3`
 * @returns '' when there is no such device
 */
export function incarnationOf(name: string, sysfs: string): string {
  for (const bus of name === '' ? [] : readdirOrNone(join(sysfs, 'bus'))) {
    const found = statSync(join(sysfs, 'bus', bus, 'devices', name), { throwIfNoEntry: false, bigint: true });
    if (found !== undefined) {
      return String(found.ino);
    }
  }
  return '';
}

const namesIn = (folder: string): readonly string[] => [...readdirOrNone(folder)].sort();

function readdirOrNone(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}

function linkIn(folder: string, name: string): string | undefined {
  try {
    return readlinkSync(join(folder, name));
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
}
