import { existsSync, globSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CniError } from '../cni/errors.ts';
import { isMissing } from './io-error.ts';

/** A device on a bus of the kernel, as sysfs shows it: a PCI function, or a scalable function on the auxiliary bus. */
export interface BusDevice {
  readonly bus: 'pci' | 'auxiliary';
  /** `0000:65:02.3` or `mlx5_core.sf.4` */
  readonly name: string;
  /** where sysfs shows it */
  readonly folder: string;
}

const PCI_ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Drivers that hand a device to a program: nothing in the kernel can be configured then. */
const USERSPACE_DRIVERS = ['vfio-pci', 'uio_pci_generic', 'igb_uio'];

export const isPciAddress = (text: string): boolean => PCI_ADDRESS.test(text.toLowerCase());

/**
 * A PCI function by its address; upper case is taken for lower.
 *
 * @param what names the key in messages
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
 * A device as device plugins name it: a PCI address, or the name of a device on the auxiliary bus.
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

/** Names of the device's network interfaces in byte order: only those in the namespace that sysfs was mounted in. */
export function netNamesOf({ folder }: BusDevice): readonly string[] {
  const own = namesIn(join(folder, 'net'));
  // a virtio device hides its interface one level below
  return own.length > 0
    ? own
    : globSync('virtio*/net/*', { cwd: folder })
        .map((path) => basename(path))
        .sort();
}

/** Names of the device's RDMA devices, only those in the namespace that sysfs was mounted in. */
export const rdmaNamesOf = ({ folder }: BusDevice): readonly string[] => namesIn(join(folder, 'infiniband'));

/** The driver bound to the device; undefined when there is none. */
export function driverOf({ folder }: BusDevice): string | undefined {
  const path = linkIn(folder, 'driver');
  return path === undefined ? undefined : basename(path);
}

/** Is the device handed to a program, by vfio or one of its elders? */
export const isUserspace = (device: BusDevice): boolean =>
  USERSPACE_DRIVERS.includes(driverOf(device) ?? '') || existsSync(join(device.folder, 'vfio-dev'));

/** The PF of a VF; undefined when the device is none. */
export function physicalFunctionOf({ folder }: BusDevice): BusDevice | undefined {
  const path = linkIn(folder, 'physfn');
  return path === undefined ? undefined : { bus: 'pci', name: basename(path), folder: join(folder, path) };
}

/** The number under which a PF knows a VF; undefined when the VF is not its. */
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
    return undefined; // some files answer EOPNOTSUPP where the driver has nothing to say
  }
}

function deviceIn(bus: BusDevice['bus'], name: string, sysfs: string): BusDevice | undefined {
  const folder = join(sysfs, 'bus', bus, 'devices', name);
  return existsSync(folder) ? { bus, name, folder: realpathSync(folder) } : undefined;
}

/**
 * Tells a piece of hardware from another that comes to its place on the bus: a VF that is made anew, a card that was
 * exchanged. The kernel makes a folder of sysfs for each, and never uses its inode again before the next boot.
 *
 * @param name on whatever bus: `0000:65:02.3`, `virtio3`
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
