import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { vdpaDevicesIn } from './vdpa.ts';

const PCI = 'devices/pci0000:00/0000:03:00.1';

describe('vDPA devices', () => {
  it('are found by their parents, with the file of those for vhost', () => {
    using folder = temporaryFolder();
    const make = (path: string, name: string, driver?: string, node?: string): void => {
      const at = join(folder.path, path, name);
      mkdirSync(at, { recursive: true });
      mkdirSync(join(folder.path, 'bus/vdpa/devices'), { recursive: true });
      symlinkSync(`../../../${path}/${name}`, join(folder.path, 'bus/vdpa/devices', name));
      if (driver !== undefined) {
        symlinkSync(`../../../../bus/vdpa/drivers/${driver}`, join(at, 'driver'));
      }
      if (node !== undefined) {
        mkdirSync(join(at, node));
      }
    };
    make(PCI, 'vdpa0', 'vhost_vdpa', 'vhost-vdpa-3');
    make(PCI, 'vdpa1', 'virtio_vdpa');
    make('devices/pci0000:00/0000:03:00.2/mlx5_core.vnet.1', 'vdpa2', 'virtio_vdpa');
    make('devices/pci0000:00/0000:03:00.3', 'vdpa3');
    make('devices/virtual', 'vdpa4', 'vhost_vdpa', 'vhost-vdpa-4');
    expect(vdpaDevicesIn(folder.path)).toEqual(
      new Map([
        ['0000:03:00.1', { name: 'vdpa0', type: 'vhost', node: 'vhost-vdpa-3' }],
        ['0000:03:00.2', { name: 'vdpa2', type: 'virtio', node: '' }],
      ]),
    );
    expect(vdpaDevicesIn(join(folder.path, 'none'))).toEqual(new Map());
  });
});
