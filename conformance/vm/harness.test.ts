/** What the tests of this folder stand on: cards, virtual functions, the wire, drivers, RDMA devices. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CARD, MAX_VFS, untilCarrier } from './cards.ts';
import { Node } from './node.ts';
import { bind, bindByDefault, driverOf, linksOf, pciLink, pciPath, rdmaDevicesOf, writePci } from './pci.ts';
import { pictureOfLink, pictureOfPci, vfAttributes } from './picture.ts';
import { ping, reaches } from './ping.ts';
import { RdmaDevice, rdmaDevices, rdmaMode } from './rdma.ts';
import { SimulatedCard } from './simulated.ts';
import { until } from './until.ts';
import { Vfs } from './vfs.ts';
import { Wire } from './wire.ts';

it('the machine knows how fast its counter is: else its clock is too fast when others work', () => {
  const [, given = ''] = / tsc_early_khz=(\d+)/.exec(readFileSync('/proc/cmdline', 'utf8')) ?? [];
  const [, believed = ''] = /^cpu MHz\s*: (\S+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? [];
  expect(Math.abs(Number(believed) / (Number(given) / 1000) - 1)).toBeLessThan(1e-4); // the kernel measures it again, to some 1e-5
});

describe('virtual functions', () => {
  it('appear with links to and from the card', async () => {
    await using vfs = await Vfs.make(3, { isCardUp: false });
    for (const { id, pci, link } of vfs.all) {
      expect([pciLink(CARD.pci, `virtfn${id}`), pciLink(pci, 'physfn'), driverOf(pci), linksOf(pci)]).toEqual([
        pci,
        CARD.pci,
        'igbvf',
        [link],
      ]);
    }
  });

  it('are as many as the card has, no more, and are not made while there are some', async () => {
    const make = (count: number) => (): void => writePci(CARD.pci, 'sriov_numvfs', String(count));
    expect(make(MAX_VFS + 1)).toThrow('ERANGE');
    await using _vfs = await Vfs.make(1, { isCardUp: false });
    expect(make(2)).toThrow('EBUSY');
  });

  it('have the attributes that they were given', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(2);
    await node.ip(`link set ${CARD.link} vf 1 mac 02:00:00:00:00:07 vlan 100 qos 3`);
    await node.ip(`link set ${CARD.link} vf 1 spoofchk off trust on max_tx_rate 200`);
    expect(await vfAttributes(CARD.link, vfs.at(1).id)).toMatchObject({
      address: '02:00:00:00:00:07',
      vlan_list: [{ vlan: 100, qos: 3 }],
      rate: { max_tx: 200, min_tx: 0 },
      spoofchk: false,
      trust: true,
      link_state: 'auto',
    });
  });

  it('of this driver take no link state, minimal rate or outer tag', async () => {
    await using node = Node.open();
    await using _vfs = await Vfs.make(1);
    for (const words of ['state enable', 'min_tx_rate 10', 'vlan 100 proto 802.1ad']) {
      expect((await node.tryIp(`link set ${CARD.link} vf 0 ${words}`)).exitCode, words).not.toBe(0);
    }
  });

  it('come back from a pod that ends, and look as before', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const { link, pci } = vfs.at(0);
    const before = [await pictureOfLink(link), pictureOfPci(pci)];
    const pod = await node.pod();
    await node.ip(`link set ${link} netns ${pod.name}`);
    expect(linksOf(pci)).toEqual([]);
    await node.remove(pod);
    await until('the VF is back', () => linksOf(pci).includes(link));
    expect([await pictureOfLink(link), pictureOfPci(pci)]).toEqual(before);
  });
});

describe('the wire', () => {
  it('is reached from a VF in a pod', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    await using wire = await Wire.open(node);
    const pod = await node.pod();
    const { link } = vfs.at(0);
    await node.ip(`link set ${link} netns ${pod.name}`);
    await node.ip(`addr add ${wire.neighbour(7)} dev ${link}`, pod);
    await node.ip(`link set ${link} up`, pod);
    await untilCarrier(link, pod.name);
    expect(await reaches(pod, wire.address())).toBe(true);
  });

  it('is reached only within its VLAN from a VF that has one', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    await using wire = await Wire.open(node);
    await wire.vlan(100);
    const pod = await node.pod();
    const { link } = vfs.at(0);
    await node.ip(`link set ${CARD.link} vf 0 vlan 100`);
    await node.ip(`link set ${link} netns ${pod.name}`);
    await node.ip(`addr add ${wire.neighbour(7, 100)} dev ${link}`, pod);
    await node.ip(`addr add ${wire.neighbour(7)} dev ${link}`, pod);
    await node.ip(`link set ${link} up`, pod);
    await untilCarrier(link, pod.name);
    expect(await reaches(pod, wire.address(100))).toBe(true);
    expect(await ping(pod, wire.address())).toBe(false);
  });

  it('is reached from a pod that the built macvlan gave an interface on the card', async () => {
    await using node = Node.open();
    await using wire = await Wire.open(node);
    await node.ip(`link set ${CARD.link} up`);
    await untilCarrier(CARD.link);
    const pod = await node.pod();
    const ipam = { type: 'static', addresses: [{ address: wire.neighbour(9) }] };
    const plugins = [{ type: 'macvlan', master: CARD.link, mode: 'bridge', ipam }];
    const network = { name: 'wired', cniVersion: '1.1.0', plugins };
    expect(await node.cnitool({ verb: 'add', network, pod })).toMatchObject({ exitCode: 0 });
    expect(await reaches(pod, wire.address())).toBe(true);
    expect(await node.cnitool({ verb: 'check', network, pod })).toMatchObject({ exitCode: 0 });
    expect(await node.cnitool({ verb: 'del', network, pod })).toMatchObject({ exitCode: 0 });
    await node.ip(`link set ${CARD.link} down`);
  });
});

describe('the driver vfio-pci', () => {
  it('takes a VF and gives it back', async () => {
    await using vfs = await Vfs.make(1);
    const { pci } = vfs.at(0);
    await bind(pci, 'vfio-pci');
    expect([linksOf(pci), existsSync(`/dev/vfio/${pciLink(pci, 'iommu_group')}`)]).toEqual([[], true]);
    await bindByDefault(pci);
    expect(driverOf(pci)).toBe('igbvf');
  });
});

describe('the driver vfsim', () => {
  it('takes every attribute of a VF', async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open();
    const { card } = simulated;
    await using _vfs = await Vfs.make(2, { card });
    await node.ip(`link set ${card.link} vf 1 state disable min_tx_rate 10 max_tx_rate 20 query_rss on`);
    await node.ip(`link set ${card.link} vf 1 vlan 7 qos 2 proto 802.1ad`);
    expect(await vfAttributes(card.link, 1)).toMatchObject({
      link_state: 'disable',
      rate: { min_tx: 10, max_tx: 20 },
      vlan_list: [{ vlan: 7, qos: 2, protocol: '802.1ad' }],
      query_rss_en: true,
    });
  });

  it('has cards of type InfiniBand, whose VFs take their GUID when they are bound', async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open({ isInfiniband: true });
    const { card } = simulated;
    await using vfs = await Vfs.make(1, { card });
    const { pci } = vfs.at(0);
    await node.ip(`link set ${card.link} vf 0 port_guid 02:11:22:33:44:55:66:77`);
    await bind(pci, 'vfsim');
    const [link = ''] = linksOf(pci);
    expect((await pictureOfLink(link)).link).toMatchObject({
      link_type: 'infiniband',
      address: expect.stringMatching(/:02:11:22:33:44:55:66:77$/),
    });
  });

  it('gives the card back to igb', () => {
    expect([driverOf(CARD.pci), linksOf(CARD.pci)]).toEqual(['igb', [CARD.link]]);
  });
});

describe('an RDMA device', () => {
  it('belongs to one namespace, shows at its VF, and moves to a pod and back', async () => {
    expect(await rdmaMode()).toBe('exclusive');
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const { link, pci } = vfs.at(0);
    await node.ip(`link set ${link} up`);
    await using device = await RdmaDevice.make('rdma0', link);
    expect(rdmaDevicesOf(pci)).toEqual([device.name]);
    const pod = await node.pod();
    await device.moveTo(pod);
    expect([rdmaDevicesOf(pci), await rdmaDevices(), await rdmaDevices(pod)]).toEqual([[], [], [device.name]]);
    await node.remove(pod);
    await until('the RDMA device is back', () => rdmaDevicesOf(pci).includes(device.name));
  });

  it('outlives the move of its interface', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const { link, pci } = vfs.at(0);
    await using device = await RdmaDevice.make('rdma0', link);
    const pod = await node.pod();
    await node.ip(`link set ${link} netns ${pod.name}`);
    expect(rdmaDevicesOf(pci)).toEqual([device.name]);
    expect(existsSync(pciPath(pci, 'infiniband', device.name))).toBe(true);
  });
});
