/** Devices on the PCI bus, by address: what sysfs says of them, and which driver has them. */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mustRun } from '../lab/execute.ts';
import { until } from './until.ts';

const BUS = '/sys/bus/pci';

/** The folder of a device, or a file in it. */
export const pciPath = (address: string, ...names: readonly string[]): string =>
  join(BUS, 'devices', address, ...names);

/** What a file of a device says, without the end of line. */
export const readPci = (address: string, name: string): string => readFileSync(pciPath(address, name), 'utf8').trim();

/** @throws Error with the errno of the driver as its code */
export function writePci(address: string, name: string, value: string): void {
  writeFileSync(pciPath(address, name), value);
}

/** The name that a link of a device points to (`driver`, `iommu_group`, `physfn`, `virtfn0`); undefined without one. */
export function pciLink(address: string, name: string): string | undefined {
  const path = pciPath(address, name);
  return lstatSync(path, { throwIfNoEntry: false }) === undefined ? undefined : basename(readlinkSync(path));
}

export const driverOf = (address: string): string | undefined => pciLink(address, 'driver');

/** Its network interfaces, as long as they are in the first namespace. */
export const linksOf = (address: string): readonly string[] => namesIn(pciPath(address, 'net'));

/** Its RDMA devices, as long as they are in the first namespace. */
export const rdmaDevicesOf = (address: string): readonly string[] => namesIn(pciPath(address, 'infiniband'));

/** Takes a device from its driver. */
export function unbind(address: string): void {
  if (driverOf(address) !== undefined) {
    writePci(address, 'driver/unbind', address);
  }
}

/**
 * Gives a device to a driver that need not know it, `vfio-pci` for one. Such a choice is undone by `bindByDefault`.
 *
 * @throws Error when the driver does not take it
 */
export async function bind(address: string, driver: string): Promise<void> {
  await mustRun(['modprobe', driver]);
  unbind(address);
  writePci(address, 'driver_override', driver);
  writeFileSync(join(BUS, 'drivers_probe'), address);
  await until(`"${driver}" has the device ${address}`, () => driverOf(address) === driver);
}

/** Gives a device to the driver that the kernel chooses. */
export async function bindByDefault(address: string): Promise<void> {
  unbind(address);
  writePci(address, 'driver_override', '\n');
  writeFileSync(join(BUS, 'drivers_probe'), address);
  await until(`a driver has the device ${address}`, () => driverOf(address) !== undefined);
}

const namesIn = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);
