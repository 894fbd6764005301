import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeSampleNode, sampleKernel } from '../devices/testing/sample-node.ts';
import { type Temporary, temporaryFolder } from '../sys/testing/temporary.ts';
import { type DeviceConfigValues, type ExaminedNode, findingsOf, listenersIn } from './doctor-devices.ts';

class Lab implements Disposable {
  private readonly folder: Temporary = temporaryFolder();
  readonly root = this.folder.path;
  readonly values: DeviceConfigValues = {
    'config-file': join(this.root, 'sriov.json'),
    'rdma-config-file': join(this.root, 'rdma.json'),
    'resource-prefix': 'intel.com',
    kubelet: join(this.root, 'kubelet'),
  };

  constructor() {
    makeSampleNode(this.root);
    this.touch('kubelet/device-plugins/kubelet.sock');
    mkdirSync(join(this.root, 'kubelet/plugins_registry'));
  }

  touch(path: string, content = ''): void {
    mkdirSync(join(this.root, path, '..'), { recursive: true });
    writeFileSync(join(this.root, path), content);
  }

  remove(path: string): void {
    rmSync(join(this.root, path));
  }

  find(more: Partial<ExaminedNode> = {}) {
    const node = { root: this.root, kernel: sampleKernel(), isRdmaExclusive: false, listeners: [], ...more };
    return findingsOf(this.values, node).map(({ level, text }) => `${level}: ${text.replaceAll(`${this.root}/`, '')}`);
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

const SRIOV = (drivers: string) =>
  JSON.stringify({ resourceList: [{ resourceName: 'vf', selectors: { drivers: [drivers] } }] });
const RDMA = JSON.stringify({ configList: [{ resourceName: 'hca', rdmaHcaMax: 4, devices: ['ens3v0'] }] });
const SOCKETS = ['kubelet/plugins_registry/intel.com_vf.sock', 'kubelet/plugins_registry/hca.sock'] as const;

describe('braid doctor, of devices', () => {
  it('finds nothing where all is offered', () => {
    using lab = new Lab();
    lab.touch('sriov.json', SRIOV('igbvf'));
    lab.touch('rdma.json', RDMA);
    for (const socket of SOCKETS) {
      lab.touch(socket);
    }
    expect(lab.find({ listeners: [join(lab.values.kubelet, 'plugins_registry/.braid-7-0')] })).toEqual([]);
  });

  it('finds resources that nobody offers, and a kubelet that is away', () => {
    using lab = new Lab();
    lab.touch('sriov.json', SRIOV('igbvf'));
    lab.touch('rdma.json', RDMA);
    expect(lab.find()).toEqual([
      `warning: nobody offers resource "intel.com/vf" to the kubelet: "${SOCKETS[0]}" is missing`,
      `warning: nobody offers resource "rdma/hca" to the kubelet: "${SOCKETS[1]}" is missing`,
    ]);
    lab.remove('kubelet/device-plugins/kubelet.sock');
    expect(lab.find()).toEqual(['fault: no kubelet takes devices: "kubelet/device-plugins/kubelet.sock" is missing']);
  });

  it('finds configurations that cannot be used, resources without devices, and devices without a driver', () => {
    using lab = new Lab();
    lab.touch('sriov.json', '{"resourceList": []}');
    lab.touch('rdma.json', RDMA.replace('ens3v0', 'nosuch'));
    lab.remove('sys/bus/pci/devices/0000:01:10.0/driver');
    expect(lab.find({ isRdmaExclusive: true })).toEqual([
      'fault: cannot use configuration "sriov.json": cannot use "resourceList": there is no resource in it',
      'fault: RDMA devices cannot be shared: the RDMA subsystem is in exclusive mode',
      'warning: cannot use device "0000:01:10.0": no driver is bound to it',
      'warning: no device of this node belongs to resource "rdma/hca"',
    ]);
    lab.touch('sriov.json', SRIOV('nosuch'));
    expect(lab.find()).toContain('warning: no device of this node belongs to resource "intel.com/vf"');
  });

  it('finds another program that offers the same', () => {
    using lab = new Lab();
    lab.touch('sriov.json', SRIOV('igbvf'));
    lab.touch(SOCKETS[0]);
    const theirs = join(lab.root, SOCKETS[0]);
    expect(lab.find({ listeners: [theirs] })).toEqual([]);
    expect(lab.find({ listeners: [theirs, join(lab.values.kubelet, 'plugins_registry/.braid-7-12')] })).toEqual([
      'fault: another program offers resource "intel.com/vf" too: they take it from each other',
    ]);
  });
});

describe('listenersIn', () => {
  it('reads the table of the kernel', () => {
    const table = [
      'Num       RefCount Protocol Flags    Type St Inode Path',
      '0000000000000000: 00000002 00000000 00010000 0001 01 26011 /run/a b.sock',
      '0000000000000000: 00000003 00000000 00000000 0001 03 26012 /run/connected.sock',
      '0000000000000000: 00000002 00000000 00010000 0001 01 26013 @abstract',
      '0000000000000000: 00000002 00000000 00010000 0005 01    14 /run/udev/control',
      '0000000000000000: 00000003 00000000 00000000 0001 03 26014',
    ].join('\n');
    expect(listenersIn(table)).toEqual(['/run/a b.sock', '/run/udev/control']);
  });
});
