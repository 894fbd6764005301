/** host-device's device by what sysfs says: a tree made up for it, which the built program sees as /sys. */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PARENT_MAC } from '../../lab/lab.ts';
import { pictureOf } from '../../lab/picture.ts';
import { linkOf } from '../../lab/state.ts';
import {
  drivenBy,
  PCI_FOLDER as FOLDER,
  fakeSysfs,
  PCI_ADDRESS as PCI,
  pciDevice as pci,
  type Sysfs,
} from '../../lab/sysfs.ts';
import { Attachment, DEVICE } from './lab.ts';

const SF = 'mlx5_core.sf.4';
const NIC = pci({ ...drivenBy('iavf'), [`${FOLDER}/net/${DEVICE}`]: '' });
const AUXILIARY = {
  [`${FOLDER}/${SF}/net/${DEVICE}`]: '',
  [`bus/auxiliary/devices/${SF}`]: `../../../${FOLDER}/${SF}`,
};
const STATIC = { type: 'static', addresses: [{ address: '10.1.2.3/24' }] };

/** @param tree of sysfs while the device is on the node; in a pod it shows nothing of its link */
async function open(tree: Sysfs, conf: object) {
  const one = await Attachment.open();
  const sysfs = fakeSysfs(one.lab, tree);
  one.with = { sysfs };
  one.configure({ ipam: STATIC, ...conf });
  const hide = () => rmSync(`${sysfs}/${FOLDER}`, { recursive: true });
  return { one, hide };
}

describe.concurrent('a device with a link', () => {
  it.each([
    { what: 'pciBusID', tree: NIC, conf: { pciBusID: PCI } },
    { what: 'pciBusID in upper case', tree: NIC, conf: { pciBusID: PCI.toUpperCase() } },
    { what: 'the PCI address of the runtime', tree: NIC, conf: { runtimeConfig: { deviceID: PCI } } },
    {
      what: 'the runtime over pciBusID',
      tree: NIC,
      conf: { pciBusID: '0000:ff:1f.7', runtimeConfig: { deviceID: PCI } },
    },
    { what: 'an auxiliary device of the runtime', tree: AUXILIARY, conf: { runtimeConfig: { deviceID: SF } } },
    {
      what: 'pciBusID of a virtio device',
      tree: pci({ ...drivenBy('virtio-pci'), [`${FOLDER}/virtio2/net/${DEVICE}`]: '' }),
      conf: { pciBusID: PCI },
    },
    { what: 'kernelpath', tree: NIC, conf: { kernelpath: `/sys/${FOLDER}` } },
    { what: 'kernelpath with a detour', tree: NIC, conf: { kernelpath: `/sys/devices/../${FOLDER}/./` } },
    { what: 'device over pciBusID', tree: NIC, conf: { device: DEVICE, pciBusID: PCI } },
  ])('is found by $what, and needs no sysfs to come home', async ({ tree, conf }) => {
    const { one, hide } = await open(tree, conf);
    await using _ = one;
    const before = await pictureOf(one.lab);
    expect(await one.add()).toMatchObject({ interfaces: [{ name: 'net1', mac: PARENT_MAC }] });
    expect(linkOf(await one.podState(), 'net1')).toMatchObject({ ifalias: DEVICE });
    await one.succeed('CHECK');
    hide();
    await one.succeed('DEL');
    await one.expectHome(before);
  });

  it('is the first in the order of names where there are several', async () => {
    const { one } = await open({ ...NIC, [`${FOLDER}/net/zz9`]: '' }, { pciBusID: PCI });
    await using _ = one;
    expect(await one.add()).toMatchObject({ interfaces: [{ mac: PARENT_MAC }] });
  });

  it.each([
    { what: 'no driver', tree: pci({ [`${FOLDER}/net/${DEVICE}`]: '' }), says: /0000:65:02\.3.*no driver/ },
    { what: 'no link', tree: pci(drivenBy('iavf')), says: /0000:65:02\.3.*no such interface/ },
    {
      what: 'a link that is not in this namespace',
      tree: { ...pci(drivenBy('iavf')), [`${FOLDER}/net/ens9`]: '' },
      says: /0000:65:02\.3.*no such interface/,
    },
    { what: 'no place on the bus', tree: { devices: '' }, says: /"pciBusID" "0000:65:02\.3".*no such device/ },
  ])('that has $what is refused; DEL succeeds', async ({ tree, says }) => {
    const { one } = await open(tree, { pciBusID: PCI });
    await using _ = one;
    const before = await pictureOf(one.lab);
    expect((await one.fail('ADD')).message).toMatch(says);
    await one.succeed('DEL');
    await one.expectHome(before);
  });
});

describe.concurrent('a device that a program in the pod has', () => {
  it.each([
    ...['vfio-pci', 'uio_pci_generic', 'igb_uio'].map((driver) => ({ driver, more: {} })),
    { driver: 'some-vfio-variant', more: { [`${FOLDER}/vfio-dev/vfio0`]: '' } },
  ])('is given addresses and nothing else: driver $driver', async ({ driver, more }) => {
    const { one, hide } = await open(pci({ ...drivenBy(driver), ...more }), { runtimeConfig: { deviceID: PCI } });
    await using _ = one;
    const before = [await pictureOf(one.lab), await one.podState()] as const;
    expect(await one.add()).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'net1', sandbox: one.pod.path }],
      ips: [{ interface: 0, address: '10.1.2.3/24' }],
    });
    expect(await one.podState()).toEqual(before[1]);
    await one.expectHome(before[0]);
    await one.succeed('CHECK');
    await one.succeed('STATUS');
    hide();
    await one.succeed('DEL');
    await one.succeed('DEL');
    expect(one.recorded()).toEqual([]);
  });

  it('needs no addresses', async () => {
    const { one } = await open(pci(drivenBy('vfio-pci')), { pciBusID: PCI, ipam: {} });
    await using _ = one;
    expect(await one.add()).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'net1', sandbox: one.pod.path }],
    });
    await one.succeed('DEL');
  });
});

describe.concurrent('STATUS', () => {
  it.each([
    { what: 'is silent for a device on the bus', tree: NIC, code: 0 },
    { what: 'has code 50 for one that is not there', tree: { devices: '' }, code: 50 },
    { what: 'has code 50 for one without driver', tree: pci({}), code: 50 },
  ])('$what', async ({ tree, code }) => {
    const { one } = await open(tree, { pciBusID: PCI });
    await using _ = one;
    const outcome = await one.call('STATUS');
    expect(outcome.exitCode === 0 ? { code: 0 } : JSON.parse(outcome.stdout)).toMatchObject({ code });
  });
});

describe.concurrent('a device that the Go plugin moved and the kernel left here', () => {
  it('gets its name back from its alias by the next ADD', async () => {
    const { one } = await open(pci({ ...drivenBy('iavf'), [`${FOLDER}/net/net1`]: '' }), { pciBusID: PCI });
    await using _ = one;
    await one.onNode(`link set ${DEVICE} down`);
    await one.onNode(`link set ${DEVICE} name net1 alias ens1f0v3`);
    await one.add();
    expect(linkOf(await one.podState(), 'net1')).toMatchObject({ ifalias: 'ens1f0v3' });
    await one.succeed('DEL');
    expect(linkOf(await one.nodeState(), 'ens1f0v3')).not.toHaveProperty('ifalias');
  });

  it('gets its name back from its alias by DEL', async () => {
    const { one } = await open(NIC, { device: 'ens1f0v3' });
    await using _ = one;
    await one.onNode(`link set ${DEVICE} down`);
    await one.onNode(`link set ${DEVICE} name net1 alias ens1f0v3`);
    await one.lab.remove(one.pod);
    await one.succeed('DEL');
    expect(linkOf(await one.nodeState(), 'ens1f0v3')).not.toHaveProperty('ifalias');
  });

  it('keeps an alias that somebody gave it', async () => {
    const { one } = await open(pci({ ...drivenBy('iavf'), [`${FOLDER}/net/${DEVICE}`]: '' }), { pciBusID: PCI });
    await using _ = one;
    await one.onNode(`link set ${DEVICE} alias ens1f0v3`);
    const before = await pictureOf(one.lab);
    await one.add();
    expect(linkOf(await one.podState(), 'net1')).toMatchObject({ ifalias: DEVICE });
    await one.succeed('DEL');
    await one.expectHome(before);
  });
});
