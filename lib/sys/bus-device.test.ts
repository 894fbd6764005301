import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  attributeOf,
  type BusDevice,
  driverOf,
  findBusDevice,
  findPciDevice,
  isUserspace,
  netNamesOf,
  physicalFunctionOf,
  rdmaNamesOf,
  vfNumberOf,
} from './bus-device.ts';
import { temporaryFolder } from './testing/temporary.ts';

/** A sysfs with these folders, files (with content) and links (with `-> target`). */
function sysfsWith(root: string, entries: readonly string[]): string {
  for (const entry of entries) {
    const [path = '', target] = entry.split(' -> ');
    const [name = '', content] = path.split(' = ');
    const place = join(root, name);
    mkdirSync(target === undefined && content === undefined ? place : dirname(place), { recursive: true });
    if (target !== undefined) {
      symlinkSync(target, place);
    } else if (content !== undefined) {
      writeFileSync(place, `${content}\n`);
    }
  }
  return root;
}

const PF = 'devices/pci0000:00/0000:01:00.0';
const VF = 'devices/pci0000:00/0000:01:10.2';
const NODE = [
  `${PF}/net/eth0`,
  `${VF}/net/eth5`,
  `${VF}/net/eth3`,
  `${VF}/infiniband/mlx5_7`,
  `${VF}/numa_node = 1`,
  `${VF}/driver -> ../../../bus/pci/drivers/igbvf`,
  `${VF}/physfn -> ../0000:01:00.0`,
  `${PF}/virtfn0 -> ../0000:01:10.0`,
  `${PF}/virtfn1 -> ../0000:01:10.2`,
  'devices/pci0000:00/0000:02:00.0/virtio3/net/eth9',
  'devices/pci0000:00/0000:02:00.0/driver -> ../../../bus/pci/drivers/vfio-pci',
  'devices/sf/mlx5_core.sf.4/net/enp3s0f0s88',
  'bus/auxiliary/devices/mlx5_core.sf.4 -> ../../../devices/sf/mlx5_core.sf.4',
  ...['0000:01:00.0', '0000:01:10.2', '0000:02:00.0'].map(
    (address) => `bus/pci/devices/${address} -> ../../../devices/pci0000:00/${address}`,
  ),
];

const must = (device: BusDevice | undefined): BusDevice => device ?? expect.fail('no such device');

describe('a device on a bus', () => {
  it('is found by its PCI address, in upper case too, or by its name on the auxiliary bus', () => {
    using folder = temporaryFolder();
    const sysfs = sysfsWith(folder.path, NODE);
    expect(netNamesOf(must(findPciDevice('0000:01:10.2', 'pciBusID', sysfs)))).toEqual(['eth3', 'eth5']);
    expect(findPciDevice('0000:0A:10.2', 'pciBusID', sysfs)).toBeUndefined();
    expect(must(findPciDevice('0000:02:00.0', 'pciBusID', sysfs)).name).toBe('0000:02:00.0');
    expect(netNamesOf(must(findBusDevice('mlx5_core.sf.4', 'deviceID', sysfs)))).toEqual(['enp3s0f0s88']);
    expect(findBusDevice('mlx5_core.sf.5', 'deviceID', sysfs)).toBeUndefined();
  });

  it.each(['../../etc', '..', '.', '', 'a/b', '0000:01:10.2/..', '0000:01:10.9 ', 'x\0'])(
    'is not looked for by %j',
    (text) => {
      using folder = temporaryFolder();
      expect(() => findBusDevice(text, 'deviceID', folder.path)).toThrow(expect.objectContaining({ code: 7 }));
      expect(() => findPciDevice(text, 'pciBusID', folder.path)).toThrow(expect.objectContaining({ code: 7 }));
    },
  );

  it('tells what is below it', { tags: 'sriov/userspace-drivers' }, () => {
    using folder = temporaryFolder();
    const sysfs = sysfsWith(folder.path, NODE);
    const vf = must(findPciDevice('0000:01:10.2', 'deviceID', sysfs));
    expect([driverOf(vf), isUserspace(vf), rdmaNamesOf(vf), attributeOf(vf, 'numa_node')]).toEqual([
      'igbvf',
      false,
      ['mlx5_7'],
      '1',
    ]);
    expect(attributeOf(vf, 'no/such')).toBeUndefined();
    const virtio = must(findPciDevice('0000:02:00.0', 'deviceID', sysfs));
    expect([netNamesOf(virtio), driverOf(virtio), isUserspace(virtio)]).toEqual([['eth9'], 'vfio-pci', true]);
  });

  it('knows the PF of a VF and the number of the VF', () => {
    using folder = temporaryFolder();
    const sysfs = sysfsWith(folder.path, NODE);
    const vf = must(findPciDevice('0000:01:10.2', 'deviceID', sysfs));
    const pf = must(physicalFunctionOf(vf));
    expect([pf.name, netNamesOf(pf), vfNumberOf(vf, pf)]).toEqual(['0000:01:00.0', ['eth0'], 1]);
    expect(physicalFunctionOf(pf)).toBeUndefined();
    expect(vfNumberOf(pf, pf)).toBeUndefined();
  });
});
