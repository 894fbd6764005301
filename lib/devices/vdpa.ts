import { dirname, join } from 'node:path';
import { isPciAddress } from '../sys/bus-device.ts';
import { namesIn, placeOf, targetOf } from './bus-folder.ts';
import type { VdpaDevice } from './facts.ts';

const TYPES: Readonly<Record<string, VdpaDevice['type']>> = { vhost_vdpa: 'vhost', virtio_vdpa: 'virtio' };
const NODE = /^vhost-vdpa-\d+$/;

/**
 * vDPA devices with a driver, by the address of the PCI device that they belong to; the first where it has several.
 *
 * @param sysfs root of sysfs
 */
export function vdpaDevicesIn(sysfs: string): ReadonlyMap<string, VdpaDevice> {
  const bus = join(sysfs, 'bus/vdpa/devices');
  const found = namesIn(bus).flatMap((name): readonly [string, VdpaDevice][] => {
    const type = TYPES[targetOf(join(bus, name, 'driver'))];
    const parent = dirname(placeOf(sysfs, 'vdpa', name))
      .split('/')
      .findLast(isPciAddress);
    const node = namesIn(join(bus, name)).find((entry) => NODE.test(entry)) ?? '';
    return type === undefined || parent === undefined ? [] : [[parent, { name, type, node }]];
  });
  return new Map(found.reverse());
}
