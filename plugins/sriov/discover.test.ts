import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { findVf, inspectVf } from './discover.ts';
import { FakeNic, PF, VF } from './testing/fake-nic.ts';

const folderOf = (address: string): string => `devices/pci0000:00/${address}`;

describe('findVf', () => {
  it('finds the PF of a VF, and its number', () => {
    using folder = temporaryFolder();
    const { sysfs } = new FakeNic(folder.path);
    expect(findVf(VF, sysfs)).toMatchObject({ pfName: 'p1', number: 1, pf: { name: PF }, device: { name: VF } });
  });

  it('does not take a representor for the PF', { tags: 'sriov/representors' }, () => {
    using folder = temporaryFolder();
    const nic = new FakeNic(folder.path);
    nic.entry(`${folderOf(PF)}/net/a0/phys_port_name = pf0vf0`);
    nic.entry(`${folderOf(PF)}/net/a1/phys_port_name = c1pf0vf1`);
    nic.entry(`${folderOf(PF)}/net/p1/phys_port_name = p0`);
    expect(findVf(VF, nic.sysfs).pfName).toBe('p1');
  });

  it('takes the port that the VF is on, of two on one PCI function', () => {
    using folder = temporaryFolder();
    const nic = new FakeNic(folder.path);
    nic.entry(`${folderOf(PF)}/net/a0/dev_port = 0`);
    nic.entry(`${folderOf(PF)}/net/p1/dev_port = 1`);
    nic.entry(`${folderOf(VF)}/net/p1v1/dev_port = 1`);
    expect(findVf(VF, nic.sysfs).pfName).toBe('p1');
  });

  it('reports that the PF no longer has the VF', () => {
    using folder = temporaryFolder();
    const nic = new FakeNic(folder.path);
    nic.entry(`${folderOf(PF)}/virtfn1 -> ../0000:01:10.4`);
    expect(() => findVf(VF, nic.sysfs)).toThrow('its PF "p1" no longer has it; recreate the VFs');
  });
});

describe('inspectVf', () => {
  it('returns what is visible', () => {
    using folder = temporaryFolder();
    const nic = new FakeNic(folder.path);
    expect(inspectVf('0000:09:00.0', nic.sysfs)).toBeUndefined();
    expect(inspectVf(PF, nic.sysfs)).toMatchObject({ pf: undefined, pfName: undefined, number: undefined });
  });
});
