import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isPciAddress } from '../sys/bus-device.ts';

export type Bus = 'pci' | 'auxiliary';

const ENTRY_OF_VIRTIO = /^virtio\d+$/;

/**
 * The folder of one device. It is listed once, and only what is there is read: hundreds of devices are looked at, and a
 * file that is not there costs more than one that is.
 */
export class BusFolder {
  readonly bus: Bus;
  readonly name: string;
  private readonly path: string;
  private readonly sysfs: string;
  private readonly entries: ReadonlySet<string>;

  /** @throws Error when there is no such device */
  constructor(sysfs: string, bus: Bus, name: string) {
    this.sysfs = sysfs;
    this.bus = bus;
    this.name = name;
    this.path = join(sysfs, 'bus', bus, 'devices', name);
    this.entries = new Set(readdirSync(this.path));
  }

  /** Where it is plugged in, below the root of sysfs: `devices/pci0000:00/0000:00:01.0/0000:01:00.0`. */
  place(): string {
    return placeOf(this.sysfs, this.bus, this.name);
  }

  /** Text of a file; '' when it is not there or does not tell. */
  attribute(name: string): string {
    return this.entries.has(name.split('/')[0] ?? '') ? textOf(join(this.path, name)) : '';
  }

  /** Base name of what a link points to; '' when it is not there. */
  link(name: string): string {
    return this.entries.has(name) ? targetOf(join(this.path, name)) : '';
  }

  /** What is in a folder, sorted. */
  names(folder: string): readonly string[] {
    return this.entries.has(folder.split('/')[0] ?? '') ? namesIn(join(this.path, folder)) : [];
  }

  /** Entries of its own that match. */
  matching(pattern: RegExp): readonly string[] {
    return [...this.entries].filter((name) => pattern.test(name));
  }

  /** Its interfaces: a virtio device has them one level below. */
  netNames(): readonly string[] {
    const own = this.names('net');
    return own.length > 0 ? own : this.matching(ENTRY_OF_VIRTIO).flatMap((name) => this.names(`${name}/net`));
  }

  /** The nearest PCI device above; undefined when there is none. */
  pciParent(): BusFolder | undefined {
    for (let above = dirname(this.place()); above !== dirname(above); above = dirname(above)) {
      if (isPciAddress(basename(above))) {
        return new BusFolder(this.sysfs, 'pci', basename(above));
      }
    }
    return undefined;
  }
}

/** Where a device is plugged in, below the root of sysfs; '' when there is no such device. */
export function placeOf(sysfs: string, bus: Bus | 'vdpa', name: string): string {
  try {
    return readlinkSync(join(sysfs, 'bus', bus, 'devices', name)).replace(/^(\.\.\/)+/, '');
  } catch {
    return '';
  }
}

/** What is in a folder, sorted; nothing when it is not there. */
export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Text of a file without its newline; '' when it is not there, or the driver does not tell. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    return '';
  }
}

/** Base name of what a link points to; '' when it is not there. */
export function targetOf(path: string): string {
  try {
    return basename(readlinkSync(path));
  } catch {
    return '';
  }
}
