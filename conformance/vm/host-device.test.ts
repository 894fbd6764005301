/** The built host-device with a real card: it goes to a pod whole, moves traffic there, and comes back as it was. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { mustRun, type Outcome } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { OURS } from '../lab/programs.ts';
import { CARD, putUp, untilCarrier } from './cards.ts';
import { Node } from './node.ts';
import { bind, bindByDefault, linksOf } from './pci.ts';
import { type LinkPicture, pictureOfLink } from './picture.ts';
import { reaches } from './ping.ts';
import { until } from './until.ts';
import { Vfs } from './vfs.ts';
import { Wire } from './wire.ts';

const OK = { exitCode: 0, stdout: '' };

type Conf = Readonly<Record<string, unknown>>;

/** The plugin, with records in the node's folder and an address of the wire's subnet. */
class Site {
  private readonly node: Node;
  private readonly records: string;

  constructor(node: Node) {
    this.node = node;
    this.records = join(node.dir, 'records');
  }

  conf(more: Conf): Conf {
    const ipam = { type: 'static', addresses: [{ address: '10.90.0.5/24' }] };
    return { cniVersion: '1.1.0', name: 'whole', type: 'host-device', dataDir: this.records, ipam, ...more };
  }

  call(verb: string, conf: Conf, pod: Pod, netns = pod.path): Promise<Outcome> {
    return this.node.call({
      verb,
      plugin: 'host-device',
      conf,
      containerId: pod.name,
      netns,
      ifName: 'net1',
      path: OURS.path,
    });
  }

  /** Attachments that are not over. */
  held(): readonly string[] {
    return existsSync(this.records) ? readdirSync(this.records) : [];
  }
}

/** A card that is up, with addresses, routes in two tables, a rule, names and settings of its own. */
async function furnish(node: Node, link: string): Promise<void> {
  await node.ip(`link set ${link} mtu 1400 txqueuelen 77 alias uplink promisc on`);
  await node.ip(`link property add dev ${link} altname rail0`);
  await node.sysctl(`net/ipv4/conf/${link}/rp_filter`, '2');
  await node.sysctl(`net/ipv6/conf/${link}/accept_ra`, '0');
  await node.ip(`link set ${link} up`);
  await untilCarrier(link);
  await node.ip(`addr add 10.90.0.9/24 dev ${link}`);
  await node.ip(`addr add fd90::9/64 dev ${link} nodad`);
  await node.ip(`route add 10.94.0.0/16 via 10.90.0.1 dev ${link}`);
  await node.ip(`route add 10.95.0.0/16 via 10.90.0.1 dev ${link} table 77 mtu 1300`);
  await node.ip('rule add from 10.90.0.9 table 77');
}

async function strip(node: Node, link: string): Promise<void> {
  await node.tryIp('rule del from 10.90.0.9 table 77');
  await node.tryIp(`link property del dev ${link} altname rail0`);
  await node.ip(`addr flush dev ${link}`);
  await node.ip(`link set ${link} down mtu 1500 txqueuelen 1000 promisc off`);
  await node.run(['ip', 'link', 'set', link, 'alias', '']);
  await node.sysctl(`net/ipv4/conf/${link}/rp_filter`, '0');
  await node.sysctl(`net/ipv6/conf/${link}/accept_ra`, '1');
}

/** The card is as in the picture, when it has its carrier and its link-local address is ready again. */
async function expectAgain(before: LinkPicture): Promise<void> {
  const isAgain = async () => isDeepStrictEqual(await pictureOfLink(CARD.link), before);
  await until('the card is as it was', isAgain).catch(() => undefined); // what differs is told below
  expect(await pictureOfLink(CARD.link)).toEqual(before);
}

describe('a card that is handed over whole', () => {
  it.each([
    ['its name', { device: CARD.link }],
    ['its PCI address', { pciBusID: CARD.pci }],
    ['the device that the runtime passes', { runtimeConfig: { deviceID: CARD.pci } }],
    ['its hardware address', { hwaddr: CARD.mac.toUpperCase() }],
  ])('by %s reaches the wire, and comes back as it was', async (_, selector) => {
    await using node = Node.open();
    await using wire = await Wire.open(node);
    await using _furniture = { [Symbol.asyncDispose]: () => strip(node, CARD.link) };
    await furnish(node, CARD.link);
    const site = new Site(node);
    const pod = await node.pod();
    const before = await pictureOfLink(CARD.link);
    const conf = site.conf(selector);
    const added = await site.call('ADD', conf, pod);
    expect(added).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(added.stdout)).toMatchObject({
      interfaces: [{ name: 'net1', mac: CARD.mac, sandbox: pod.path }],
    });
    expect(linksOf(CARD.pci)).toEqual([]);
    expect(await reaches(pod, wire.address())).toBe(true);
    const prevResult: unknown = JSON.parse(added.stdout);
    expect(await site.call('CHECK', { ...conf, prevResult }, pod)).toMatchObject(OK);
    await node.ip('link set net1 mtu 1300 allmulticast on address 02:00:00:00:00:77', pod);
    expect(await site.call('DEL', conf, pod)).toMatchObject(OK);
    await expectAgain(before);
    expect(await site.call('DEL', conf, pod)).toMatchObject(OK);
    expect(site.held()).toEqual([]);
  });

  it('keeps its own addresses and routes in the pod when it is told to', async () => {
    await using node = Node.open();
    await using wire = await Wire.open(node);
    await using _furniture = { [Symbol.asyncDispose]: () => strip(node, CARD.link) };
    await furnish(node, CARD.link);
    const site = new Site(node);
    const pod = await node.pod();
    const before = await pictureOfLink(CARD.link);
    const conf = site.conf({ device: CARD.link, useInterfaceNetwork: true, ipam: {} });
    const added = await site.call('ADD', conf, pod);
    expect(JSON.parse(added.stdout)).toMatchObject({ ips: [{ address: '10.90.0.9/24' }, { address: 'fd90::9/64' }] });
    expect(await reaches(pod, wire.address())).toBe(true);
    expect(await node.ip('rule show from 10.90.0.9', pod)).toContain('lookup 77');
    expect(await site.call('DEL', conf, pod)).toMatchObject(OK);
    await expectAgain(before);
  });

  it.each([
    ['DEL', true],
    ['DEL without CNI_NETNS', false],
  ])('is brought home by the kernel when its pod ends, and made what it was by %s', async (_, hasNetns) => {
    await using node = Node.open();
    await using _furniture = { [Symbol.asyncDispose]: () => strip(node, CARD.link) };
    await putUp(CARD);
    await furnish(node, CARD.link);
    const site = new Site(node);
    const pod = await node.pod();
    const before = await pictureOfLink(CARD.link);
    const conf = site.conf({ pciBusID: CARD.pci });
    expect(await site.call('ADD', conf, pod)).toMatchObject({ exitCode: 0 });
    await node.remove(pod);
    await until('the card is back', () => linksOf(CARD.pci).length > 0);
    expect(linksOf(CARD.pci)).toEqual(['net1']);
    expect(await site.call('DEL', conf, pod, hasNetns ? pod.path : '')).toMatchObject(OK);
    await expectAgain(before);
    expect(site.held()).toEqual([]);
  });

  it('is the same port of its bridge afterwards, with settings and VLANs', async () => {
    await using node = Node.open();
    await putUp(CARD);
    await node.ip('link add br0 type bridge vlan_filtering 1');
    await using _bridge = { [Symbol.asyncDispose]: async () => void (await node.tryIp('link del br0')) };
    await node.ip('link set br0 up');
    await node.ip(`link set ${CARD.link} master br0`);
    await node.ip(`link set ${CARD.link} type bridge_slave isolated on hairpin on priority 3`);
    for (const vlan of ['del vid 1', 'add vid 100 pvid untagged', 'add vid 200-203', 'add vid 300 untagged']) {
      const [verb = '', ...which] = vlan.split(' ');
      await mustRun(['bridge', 'vlan', verb, 'dev', CARD.link, ...which]);
    }
    const port = async (): Promise<unknown> => [
      JSON.parse(await mustRun(['bridge', '-j', 'vlan', 'show', 'dev', CARD.link])),
      (await mustRun(['bridge', '-d', 'link', 'show', 'dev', CARD.link])).match(/(isolated|hairpin|priority) \S+/g),
    ];
    const site = new Site(node);
    const pod = await node.pod();
    const before = await port();
    expect(JSON.stringify(before)).toContain('isolated on');
    expect(await site.call('ADD', site.conf({ device: CARD.link }), pod)).toMatchObject({ exitCode: 0 });
    expect(await site.call('DEL', site.conf({ device: CARD.link }), pod)).toMatchObject({ ...OK, stderr: '' });
    expect(await port()).toEqual(before);
  });

  it('whose pod died without DEL is made what it was by the next ADD', async () => {
    await using node = Node.open();
    await using _furniture = { [Symbol.asyncDispose]: () => strip(node, CARD.link) };
    await putUp(CARD);
    await furnish(node, CARD.link);
    const site = new Site(node);
    const [dead, next] = [await node.pod('dead'), await node.pod('next')];
    const before = await pictureOfLink(CARD.link);
    const conf = site.conf({ pciBusID: CARD.pci });
    expect(await site.call('ADD', conf, dead)).toMatchObject({ exitCode: 0 });
    await node.remove(dead);
    await until('the card is back', () => linksOf(CARD.pci).length > 0);
    expect(await site.call('ADD', conf, next)).toMatchObject({ exitCode: 0 });
    expect(await site.call('DEL', conf, dead)).toMatchObject(OK);
    expect(linksOf(CARD.pci)).toEqual([]);
    expect(await site.call('DEL', conf, next)).toMatchObject(OK);
    await expectAgain(before);
  });
});

describe('a VF that a program has', () => {
  it('is answered with addresses, and nothing is touched', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const site = new Site(node);
    const pod = await node.pod();
    const { pci } = vfs.at(0);
    await bind(pci, 'vfio-pci');
    const conf = site.conf({ runtimeConfig: { deviceID: pci } });
    const added = await site.call('ADD', conf, pod);
    expect(JSON.parse(added.stdout)).toMatchObject({
      interfaces: [{ name: 'net1', sandbox: pod.path }],
      ips: [{ address: '10.90.0.5/24', interface: 0 }],
    });
    expect(await node.ip('link show', pod)).not.toContain('net1');
    expect(await site.call('DEL', conf, pod)).toMatchObject(OK);
    expect(site.held()).toEqual([]);
    await bindByDefault(pci);
  });
});
