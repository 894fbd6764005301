import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_RESULT } from '../../../lib/cni/result.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { type Ip, parseIp } from '../../../lib/net/ip.ts';
import { findPciDevice } from '../../../lib/sys/bus-device.ts';
import { type Temporary, temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { type RdmaAttachment, rdmaOf } from './rdma-of.ts';
import { type RdmaQuestion, rdmaStatusOf } from './rdma-status.ts';

const VF = '0000:65:02.3';
const PCI_FOLDER = `devices/pci0000:64/${VF}`;

let sysfs: Temporary;
beforeEach(() => {
  sysfs = temporaryFolder();
  mkdirSync(join(sysfs.path, 'bus/pci/devices'), { recursive: true });
  mkdirSync(join(sysfs.path, PCI_FOLDER), { recursive: true });
  symlinkSync(`../../../${PCI_FOLDER}`, join(sysfs.path, 'bus/pci/devices', VF));
});
afterEach(() => sysfs[Symbol.dispose]());

function put(path: string, text: string): void {
  mkdirSync(dirname(join(sysfs.path, path)), { recursive: true });
  writeFileSync(join(sysfs.path, path), `${text}\n`);
}

/** An entry of a port: version and interface are unknown to some kernels and drivers. */
function gid(device: string, index: number, address: string, type = 'RoCE v2', netName?: string, port = 1): void {
  const root = `class/infiniband/${device}/ports/${port}`;
  put(`${root}/gids/${index}`, address);
  put(`${root}/gid_attrs/types/${index}`, type);
  if (netName !== undefined) {
    put(`${root}/gid_attrs/ndevs/${index}`, netName);
  }
}

const LINK_LOCAL = 'fe80:0000:0000:0000:0000:00ff:fe00:0001';
const FIVE = '0000:0000:0000:0000:0000:ffff:c000:0205';
const GLOBAL = '2001:0db8:0000:0000:0000:0000:0000:0005';

const ip = (text: string): Ip => parseIp(text) as Ip;
const ask = (more: Partial<RdmaQuestion> = {}) =>
  rdmaStatusOf({ ifName: 'net1', ips: [ip('192.0.2.5')], device: undefined, sysfs: sysfs.path, ...more });
const ownDevice = (): Partial<RdmaQuestion> => ({ device: findPciDevice(VF, 'deviceID', sysfs.path) });

describe('the RDMA device of an attachment', () => {
  it('has the index of its address among those of RoCE v2', () => {
    mkdirSync(join(sysfs.path, PCI_FOLDER, 'infiniband/mlx5_9'), { recursive: true });
    gid('mlx5_9', 0, LINK_LOCAL, 'IB/RoCE v1', 'net1');
    gid('mlx5_9', 1, LINK_LOCAL, 'RoCE v2', 'net1');
    gid('mlx5_9', 2, FIVE, 'IB/RoCE v1', 'net1');
    gid('mlx5_9', 10, FIVE, 'RoCE v2', 'net1');
    gid('mlx5_9', 3, GLOBAL, 'RoCE v2', 'net1');
    gid('mlx5_9', 4, '0000:0000:0000:0000:0000:0000:0000:0000');
    expect(ask(ownDevice())).toEqual({ device: 'mlx5_9', port: 1, 'gid-index': 10 });
    const six = { ips: [ip('2001:db8::5'), ip('192.0.2.5')] };
    expect(ask({ ...ownDevice(), ...six })).toEqual({ device: 'mlx5_9', port: 1, 'gid-index': 3 });
  });

  it('is known without its table: of InfiniBand, before the address is in it, of another namespace', () => {
    put(`${PCI_FOLDER}/infiniband_verbs/uverbs4/ibdev`, 'mlx5_9');
    expect(ask(ownDevice())).toEqual({ device: 'mlx5_9' });
    gid('mlx5_9', 1, LINK_LOCAL, 'RoCE v2', 'net1');
    expect(ask(ownDevice())).toEqual({ device: 'mlx5_9' });
  });

  it('is that of the parent for an attachment without one, by the address', () => {
    gid('mlx5_0', 7, FIVE, 'RoCE v2', 'net1');
    gid('mlx5_1', 3, GLOBAL, 'RoCE v2', 'net1');
    expect(ask()).toEqual({ device: 'mlx5_0', port: 1, 'gid-index': 7 });
  });

  it('is not guessed: by the name of the interface alone, nor where two networks have the same addresses', () => {
    gid('mlx5_0', 7, FIVE, 'RoCE v2', 'net2');
    gid('mlx5_0', 1, LINK_LOCAL, 'RoCE v2', 'net1');
    expect(ask()).toBeUndefined();
    gid('mlx5_0', 8, FIVE, 'RoCE v2', 'net1');
    gid('mlx5_1', 3, FIVE, 'RoCE v2', 'net1');
    expect(ask()).toBeUndefined();
  });

  it('is none where there is no RDMA', () => {
    expect(ask()).toBeUndefined();
    expect(ask(ownDevice())).toBeUndefined();
  });
});

describe('the RDMA devices of attachments', () => {
  const attachment = (more: Partial<RdmaAttachment> = {}): RdmaAttachment => ({
    ifName: 'net1',
    result: { ...EMPTY_RESULT, ips: [{ address: '192.0.2.5/24' }] },
    deviceId: VF,
    ...more,
  });
  const waits: number[] = [];
  const scopeOf = (onSleep: () => void = () => undefined) =>
    fakeScope({
      node: { sysfs: sysfs.path },
      sleep: (ms) => {
        waits.push(ms);
        onSleep();
      },
    });
  beforeEach(() => {
    waits.length = 0;
    mkdirSync(join(sysfs.path, PCI_FOLDER, 'infiniband/mlx5_9'), { recursive: true });
  });

  it('are waited for until their addresses are in the table, but not for long', async () => {
    put('class/infiniband/mlx5_9/ports/1/link_layer', 'Ethernet');
    expect(await rdmaOf(scopeOf(), [attachment()])).toEqual([{ device: 'mlx5_9' }]);
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBe(200);
    waits.length = 0;
    const late = scopeOf(() => gid('mlx5_9', 3, FIVE, 'RoCE v2', 'net1'));
    expect(await rdmaOf(late, [attachment(), attachment({ deviceId: '', ifName: 'net2' })])).toEqual([
      { device: 'mlx5_9', port: 1, 'gid-index': 3 },
      undefined,
    ]);
    expect(waits).toEqual([5]);
  });

  it('are not waited for where no address will come: of InfiniBand, without addresses', async () => {
    put('class/infiniband/mlx5_9/ports/1/link_layer', 'InfiniBand');
    expect(await rdmaOf(scopeOf(), [attachment()])).toEqual([{ device: 'mlx5_9' }]);
    put('class/infiniband/mlx5_9/ports/1/link_layer', 'Ethernet');
    expect(await rdmaOf(scopeOf(), [attachment({ result: EMPTY_RESULT })])).toEqual([{ device: 'mlx5_9' }]);
    expect(waits).toEqual([]);
  });

  it('are found by what the result tells, too; a name of no bus is none', async () => {
    const result = { ...EMPTY_RESULT, interfaces: [{ name: 'net1', pciID: VF }] };
    const asked = [attachment({ deviceId: '', result }), attachment({ deviceId: 'not/a device' })];
    expect(await rdmaOf(scopeOf(), asked)).toEqual([{ device: 'mlx5_9' }, undefined]);
  });
});
