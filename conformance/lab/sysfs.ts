/** Trees that stand for /sys. */
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Lab } from './lab.ts';

/** Paths below /sys: '' makes a folder, other text a link to it. */
export type Sysfs = Readonly<Record<string, string>>;

export const PCI_ADDRESS = '0000:65:02.3';
export const PCI_FOLDER = `devices/pci0000:64/${PCI_ADDRESS}`;

/** A PCI function. */
export const pciDevice = (more: Sysfs): Sysfs => ({
  [`${PCI_FOLDER}/power`]: '',
  [`bus/pci/devices/${PCI_ADDRESS}`]: `../../../${PCI_FOLDER}`,
  ...more,
});

/** The driver of the function. */
export const drivenBy = (driver: string): Sysfs => ({
  [`bus/pci/drivers/${driver}`]: '',
  [`${PCI_FOLDER}/driver`]: `../../../bus/pci/drivers/${driver}`,
});

/**
 * In the place of the lab's one before, in the same folder: an agent sees it where it has mounted that.
 *
 * @returns the folder that `Call.sysfs` wants
 */
export function fakeSysfs(lab: Lab, tree: Sysfs): string {
  const root = lab.folder('sys');
  for (const name of readdirSync(root)) {
    rmSync(join(root, name), { recursive: true });
  }
  for (const [name, target] of Object.entries(tree)) {
    const path = join(root, name);
    mkdirSync(target === '' ? path : dirname(path), { recursive: true });
    if (target !== '') {
      symlinkSync(target, path);
    }
  }
  return root;
}
