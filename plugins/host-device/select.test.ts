import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConf } from '../../lib/cni/config.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { HostDeviceConf } from './config.ts';
import { findSelected, resolveSelector, selectorText } from './select.ts';
import { type FakeLink, FakeNode } from './testing/fake-node.ts';

const PCI = '0000:65:02.3';
const FOLDER = `devices/pci0000:64/${PCI}`;
const SF = 'mlx5_core.sf.4';

/** A node with a PCI function, a scalable function below it, and a link for each of the names. */
function nodeWith(names: readonly string[], driver = 'iavf'): FakeNode {
  const node = new FakeNode();
  node.node.links = names.map((name, index) => ({ index: index + 1, name, mac: `02:00:00:00:00:0${index + 1}` }));
  const path = (name: string): string => join(node.scope.node.sysfs, name);
  for (const folder of [
    `${FOLDER}/net/b0`,
    `${FOLDER}/net/a0`,
    `${FOLDER}/${SF}/net/sf0`,
    `bus/pci/drivers/${driver}`,
  ]) {
    mkdirSync(path(folder), { recursive: true });
  }
  const links = [
    [`bus/pci/devices/${PCI}`, `../../../${FOLDER}`],
    [`bus/auxiliary/devices/${SF}`, `../../../${FOLDER}/${SF}`],
    ...(driver === '' ? [] : [[`${FOLDER}/driver`, `../../../bus/pci/drivers/${driver}`]]),
  ];
  for (const [name = '', target = ''] of links) {
    mkdirSync(dirname(path(name)), { recursive: true });
    symlinkSync(target, path(name));
  }
  return node;
}

async function chosen(node: FakeNode, document: JsonObject): Promise<string | undefined> {
  const { sysfs, host } = node.scope.node;
  const wanted = resolveSelector(readConf(HostDeviceConf, document), sysfs);
  return (await findSelected(wanted, { netlink: host.netlink, sysfs }))?.name;
}

describe('the device with a hardware address', () => {
  const MAC = '02:00:00:00:00:01';
  const links = (...all: readonly FakeLink[]): FakeNode => {
    const node = new FakeNode();
    node.node.links = all.map((link, index) => ({ index: index + 1, mac: MAC, ...link }));
    return node;
  };

  it.each<[string, readonly FakeLink[], string]>([
    ['not the bridge that it is a port of', [{ name: 'br0', kind: 'bridge' }, { name: 'eth0' }], 'eth0'],
    [
      'not a link that cannot change its namespace',
      [
        { name: 'rep0', isImmutable: true },
        { name: 'eth0', isImmutable: false },
      ],
      'eth0',
    ],
    ['not a VLAN above it', [{ name: 'eth0.5', kind: 'vlan' }, { name: 'eth0' }], 'eth0'],
    [
      'the bond port whose permanent address it is',
      [{ name: 'bond0', kind: 'bond' }, { name: 'eth0' }, { name: 'eth1', permanentMac: MAC }],
      'eth1',
    ],
    [
      'a virtual link, when no other has it',
      [
        { name: 'br0', kind: 'bridge' },
        { name: 'v0', kind: 'veth' },
      ],
      'v0',
    ],
  ])('is %s', async (_, all, name) => {
    using node = links(...all);
    expect(await chosen(node, { hwaddr: MAC })).toBe(name);
  });

  it.each<[readonly FakeLink[], string]>([
    [[{ name: 'eth0' }, { name: 'eth1' }], `"${MAC}": "eth0", "eth1" have it; set "device" instead`],
    [[{ name: 'br0', kind: 'bridge' }], `"${MAC}": only "br0" (bridge) has it, which cannot change its namespace`],
    [[{ name: 'lo', flags: 8 }], 'only "lo" (loopback) has it'],
  ])('cannot be found among %j', async (all, says) => {
    using node = links(...all);
    await expect(chosen(node, { hwaddr: MAC })).rejects.toThrow(says);
  });
});

describe('the device that is wanted', () => {
  it.each<[JsonObject, string]>([
    [{ device: 'eth0', hwaddr: '02:00:00:00:00:02', kernelpath: `/sys/${FOLDER}`, pciBusID: PCI }, 'eth0'],
    [{ hwaddr: '02:00:00:00:00:02', kernelpath: `/sys/${FOLDER}`, pciBusID: PCI }, 'eth1'],
    [{ kernelpath: `/sys/${FOLDER}/${SF}`, pciBusID: PCI }, 'sf0'],
    [{ pciBusID: PCI }, 'a0'],
    [{ pciBusID: PCI.toUpperCase(), runtimeConfig: { deviceID: SF } }, 'sf0'],
    [{ device: 'eth0', runtimeConfig: { deviceID: SF } }, 'eth0'],
    [{ hwaddr: '02-00-00-00-00-01' }, 'eth0'],
  ])('is by %j the link %s', async (document, name) => {
    using node = nodeWith(['eth0', 'eth1', 'a0', 'b0', 'sf0']);
    expect(await chosen(node, document)).toBe(name);
  });

  it.each<[JsonObject]>([
    [{ device: 'absent0' }],
    [{ hwaddr: '02:00:00:00:00:77' }],
    [{ kernelpath: `/sys/${FOLDER}` }],
    [{ pciBusID: PCI }],
  ])('is not here: %j', async (document) => {
    using node = nodeWith(['eth0']);
    expect(await chosen(node, document)).toBeUndefined();
  });

  it.each<[JsonObject, string]>([
    [{}, '"device", "hwaddr", "kernelpath" or "pciBusID"'],
    [{ device: '', runtimeConfig: { deviceID: '' } }, '"device", "hwaddr", "kernelpath" or "pciBusID"'],
    [{ hwaddr: 'nonsense' }, '"hwaddr" "nonsense"'],
    [{ kernelpath: '/sys/class/net/eth0' }, '"kernelpath"'],
    [{ kernelpath: '/sys/devices/../../etc' }, '"kernelpath"'],
    [{ kernelpath: '/sys/devices/absent' }, 'ENOENT'],
    [{ pciBusID: '../devices' }, '"pciBusID" "../devices"'],
    [{ pciBusID: '0000:ff:1f.7' }, 'no such device on its bus'],
    [{ runtimeConfig: { deviceID: '..' } }, '"runtimeConfig.deviceID" ".."'],
    [{ runtimeConfig: { deviceID: 'a/b' } }, '"runtimeConfig.deviceID" "a/b"'],
    [{ runtimeConfig: { deviceID: 'mlx5_core.sf.5' } }, 'no such device on its bus'],
  ])('cannot be %j', async (document, says) => {
    using node = nodeWith(['eth0']);
    await expect(chosen(node, document)).rejects.toThrow(says);
  });

  it('must have a driver', async () => {
    using node = nodeWith([], '');
    await expect(chosen(node, { pciBusID: PCI })).rejects.toThrow('no driver is bound to it');
  });

  it.each(['vfio-pci', 'uio_pci_generic', 'igb_uio', 'iavf'])(
    'is a userspace device or not with driver %s',
    (driver) => {
      using node = nodeWith([], driver);
      const { isUserspace } = resolveSelector(readConf(HostDeviceConf, { pciBusID: PCI }), node.scope.node.sysfs);
      expect(isUserspace).toBe(driver !== 'iavf');
    },
  );

  it('is named in messages by the selector that counts', () => {
    using node = nodeWith([]);
    const text = (document: JsonObject) =>
      selectorText(resolveSelector(readConf(HostDeviceConf, document), node.scope.node.sysfs));
    expect([
      text({ device: 'eth0', pciBusID: PCI }),
      text({ hwaddr: 'x' }),
      text({ runtimeConfig: { deviceID: SF } }),
    ]).toEqual(['"device" "eth0"', '"hwaddr" "x"', `device "${SF}"`]);
  });
});
