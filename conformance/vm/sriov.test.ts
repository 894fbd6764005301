/** The built sriov with a card that moves traffic. */
import { globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustRun } from '../lab/execute.ts';
import { ROOT } from '../lab/programs.ts';
import { filesIn } from '../lab/state.ts';
import { CARD } from './cards.ts';
import { type CnitoolCall, type Network, Node } from './node.ts';
import { bind, bindByDefault, linksOf, writePci } from './pci.ts';
import { vfAttributes } from './picture.ts';
import { ping, reaches } from './ping.ts';
import { linkIn, MAC, messageIn, NO_MAC, OK, SriovLab, STATE } from './sriov-lab.ts';
import { Vfs } from './vfs.ts';
import { Wire } from './wire.ts';

const at = (address: string) => ({ ipam: { type: 'test-ipam', address } });

describe('traffic of a VF', () => {
  it('reaches the wire, and all is as before afterwards', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(2);
    await using wire = await Wire.open(node);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    const conf = lab.conf(0, { mac: MAC, spoofchk: 'on', trust: 'off', ...at(wire.neighbour(5)) });
    const added = await lab.call('ADD', { conf, pod });
    expect(added).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(added.stdout)).toMatchObject({ interfaces: [{ mac: MAC, mtu: 1500 }] });
    expect(await reaches(pod, wire.address())).toBe(true);
    const prevResult: unknown = JSON.parse(added.stdout);
    expect(await lab.call('CHECK', { conf: { ...conf, prevResult }, pod })).toMatchObject(OK);
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  });

  it('reaches the wire only within its VLAN', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    await using wire = await Wire.open(node);
    await wire.vlan(100);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    const conf = lab.conf(0, { vlan: 100, ...at(wire.neighbour(5, 100)) });
    expect(await lab.call('ADD', { conf, pod })).toMatchObject({ exitCode: 0 });
    expect(await reaches(pod, wire.address(100))).toBe(true);
    await node.ip(`addr add ${wire.neighbour(6)} dev net1`, pod);
    expect(await ping(pod, wire.address())).toBe(false);
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  });

  it('reaches another VF', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(2);
    const lab = new SriovLab(node, vfs);
    const [one, other] = [await node.pod('one'), await node.pod('other')];
    expect(await lab.call('ADD', { conf: lab.conf(0, at('10.91.0.1/24')), pod: one })).toMatchObject({ exitCode: 0 });
    expect(await lab.call('ADD', { conf: lab.conf(1, at('10.91.0.2/24')), pod: other })).toMatchObject({ exitCode: 0 });
    expect(await reaches(one, '10.91.0.2')).toBe(true);
    await lab.call('DEL', { conf: lab.conf(0), pod: one });
    await lab.call('DEL', { conf: lab.conf(1), pod: other });
    expect(lab.records()).toEqual([]);
  });
});

describe('a driver that does not support an attribute', () => {
  it.each([
    [{ link_state: 'enable' }, 'does not support "link_state": remove it from the configuration'],
    [{ vlan: 5, vlanProto: '802.1ad' }, 'does not support "vlan": remove it from the configuration'],
    [{ min_tx_rate: 10 }, 'cannot set rates 10 to 0 for VF 0 of "eth0": EINVAL (invalid argument)'],
  ])('is quoted, and ADD of %j leaves the VF as it was', async (attribute, message) => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    const conf = lab.conf(0, { mac: MAC, trust: 'on', spoofchk: 'off', ...attribute });
    const refused = await lab.call('ADD', { conf, pod });
    expect(JSON.parse(refused.stdout)).toMatchObject({ code: 7, msg: expect.stringContaining(message) });
    expect(await lab.picture()).toEqual(before);
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
  });
});

describe('a VF that a program has', () => {
  it('is set up through the PF, and freed by the first DEL', { tags: 'sriov/del-userspace' }, async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const { pci } = vfs.at(0);
    await bind(pci, 'vfio-pci');
    const before = [await lab.picture(), await vfAttributes(CARD.link, 0)];
    const conf = lab.conf(0, { mac: MAC, vlan: 100, spoofchk: 'off', trust: 'on' });
    const added = await lab.call('ADD', { conf, pod });
    const prevResult = JSON.parse(added.stdout) as object;
    expect(prevResult).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'net1', mac: MAC, mtu: 1500, sandbox: pod.path }],
      ips: [{ address: '10.90.0.5/24', interface: 0 }],
    });
    expect(await vfAttributes(CARD.link, 0)).toMatchObject({ address: MAC, vlan_list: [{ vlan: 100 }], trust: true });
    expect(await lab.call('CHECK', { conf: { ...conf, prevResult }, pod })).toMatchObject(OK);
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
    expect([await lab.picture(), await vfAttributes(CARD.link, 0)]).toEqual(before);
    await bindByDefault(pci);
  });

  it('has no MTU, and no DHCP', { tags: 'sriov/dhcp-userspace' }, async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    await bind(vfs.at(0).pci, 'vfio-pci');
    expect(messageIn(await lab.call('ADD', { conf: lab.conf(0, { mtu: 9000 }), pod }))).toContain('is bound to the VF');
    const dhcp = lab.conf(0, { ipam: { type: 'dhcp' } });
    expect(messageIn(await lab.call('ADD', { conf: dhcp, pod }))).toContain('cannot use IPAM plugin "dhcp"');
    expect(lab.records()).toEqual([]);
    await bindByDefault(vfs.at(0).pci);
  });
});

describe('a VF in a pod', () => {
  it('gets its MTU, and what the pod has changed is restored', { tags: 'sriov/mtu' }, async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    const conf = lab.conf(0, { mtu: 9000 });
    expect(await lab.call('ADD', { conf, pod })).toMatchObject({ exitCode: 0 });
    expect(await linkIn(pod, 'net1')).toMatchObject({ mtu: 9000 });
    await node.ip('link set net1 mtu 1300 promisc on allmulticast on txqueuelen 77', pod);
    await node.ip('link set net1 down', pod);
    await node.ip('link set net1 name mine address 02:00:00:00:00:77 alias whatever', pod);
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  });

  it('was up, and had alternative names and settings of its own on the node', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const { link } = vfs.at(0);
    await node.ip(`link property add dev ${link} altname enp1s16`);
    await node.sysctl(`net/ipv4/conf/${link}/rp_filter`, '2');
    await node.ip(`link set ${link} up alias own`);
    const before = (await lab.picture()) as { readonly vfs: readonly { readonly link: unknown }[] };
    expect(await lab.call('ADD', { conf: lab.conf(0), pod })).toMatchObject({ exitCode: 0 });
    expect(await lab.call('DEL', { conf: lab.conf(0), pod })).toMatchObject(OK);
    const after = (await lab.picture()) as typeof before;
    expect(after.vfs[0]?.link).toEqual(before.vfs[0]?.link);
  });

  it.each([
    ['DEL', true],
    ['DEL without CNI_NETNS', false],
  ])('comes back with its pod, and %s makes it what it was', { tags: 'sriov/del-no-netns' }, async (_, hasNetns) => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    const conf = lab.conf(0, { mac: MAC, trust: 'on', mtu: 1400 });
    expect(await lab.call('ADD', { conf, pod })).toMatchObject({ exitCode: 0 });
    await node.remove(pod); // the kernel brings the VF back meanwhile
    expect(await lab.call('DEL', { conf, pod, netns: hasNetns ? pod.path : '' })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  });

  it('that died without DEL is made what it was by the next ADD', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const [dead, next] = [await node.pod('dead'), await node.pod('next')];
    const before = await lab.picture();
    expect(await lab.call('ADD', { conf: lab.conf(0, { mac: MAC, trust: 'on' }), pod: dead })).toMatchObject({
      exitCode: 0,
    });
    await node.remove(dead);
    expect(await lab.call('ADD', { conf: lab.conf(0), pod: next })).toMatchObject({ exitCode: 0 });
    expect(await vfAttributes(CARD.link, 0)).toMatchObject({ trust: false });
    expect(await lab.call('DEL', { conf: lab.conf(0), pod: dead })).toMatchObject(OK);
    expect(await linkIn(next, 'net1')).toMatchObject({ parentdev: vfs.at(0).pci });
    expect(await lab.call('DEL', { conf: lab.conf(0), pod: next })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  });

  it('comes back when it is gone from the runtime, by GC', { tags: 'sriov/gc-status' }, async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(2);
    const lab = new SriovLab(node, vfs);
    const [stray, valid] = [await node.pod('stray'), await node.pod('valid')];
    await lab.call('ADD', { conf: lab.conf(0, { trust: 'on' }), pod: stray });
    await lab.call('ADD', { conf: lab.conf(1, at('10.90.0.6/24')), pod: valid });
    const attachments = [{ containerID: valid.name, ifname: 'net1' }];
    const collect = { 'cni.dev/valid-attachments': attachments };
    expect(await lab.call('GC', { conf: { ...lab.conf(0), name: 'red', ...collect }, pod: valid })).toMatchObject(OK);
    expect(lab.records()).toHaveLength(4);
    expect(await lab.call('GC', { conf: { ...lab.conf(0), ...collect }, pod: valid })).toMatchObject(OK);
    expect(lab.records()).toEqual([`${valid.name}-net1`, `pci/${vfs.at(1).pci}`]);
    expect(linksOf(vfs.at(0).pci)).toEqual([vfs.at(0).link]);
    expect(await vfAttributes(CARD.link, 0)).toMatchObject({ trust: false });
    expect(await lab.call('STATUS', { conf: lab.conf(0), pod: valid })).toMatchObject(OK);
    await lab.call('DEL', { conf: lab.conf(1), pod: valid });
  });

  it('whose PF was renamed is reset all the same', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    await lab.call('ADD', { conf: lab.conf(0, { mac: MAC, trust: 'on' }), pod });
    await node.ip(`link set ${CARD.link} down`);
    await node.ip(`link set ${CARD.link} name renamed`);
    await node.ip('link set renamed up');
    expect(await lab.call('DEL', { conf: lab.conf(0), pod })).toMatchObject(OK);
    await node.ip('link set renamed down');
    await node.ip(`link set renamed name ${CARD.link}`);
    await node.ip(`link set ${CARD.link} up`);
    expect(await lab.picture()).toEqual(before);
  });

  it('that has vanished with all VFs is no failure', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    await lab.call('ADD', { conf: lab.conf(0, { trust: 'on' }), pod });
    writePci(CARD.pci, 'sriov_numvfs', '0');
    expect(await lab.call('DEL', { conf: lab.conf(0), pod })).toMatchObject(OK);
    expect(lab.records()).toEqual([]);
  });
});

describe('names in the way', () => {
  it('of ADD leave the pod and the VF as they were', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    await node.ip('link add net1 address 02:00:00:00:00:55 type dummy', pod);
    await node.ip('link set net1 up mtu 1234', pod);
    const before = [await lab.picture(), await linkIn(pod, 'net1')];
    const conf = lab.conf(0, { mac: MAC, trust: 'on' });
    expect(messageIn(await lab.call('ADD', { conf, pod }))).toContain('cannot add interface "net1": it already exists');
    expect([await lab.picture(), await linkIn(pod, 'net1')]).toEqual(before);
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
    expect([await lab.picture(), await linkIn(pod, 'net1')]).toEqual(before);
  });

  it('as alternative names on either side are taken away, and come back', { tags: 'sriov/alt-names' }, async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const { link } = vfs.at(0);
    await node.ip('link add other type dummy', pod);
    await node.ip('link property add dev other altname enp1s16f1', pod);
    for (const name of ['net1', 'enp1s16f1', 'enp1s16f2']) {
      await node.ip(`link property add dev ${link} altname ${name}`);
    }
    const before = await lab.picture();
    expect(await lab.call('ADD', { conf: lab.conf(0), pod })).toMatchObject({ exitCode: 0 });
    expect(await linkIn(pod, 'net1')).not.toHaveProperty('altnames');
    await node.ip(`link property add dev net1 altname ${link}`, pod); // as udev does with predictable names
    expect(await lab.call('DEL', { conf: lab.conf(0), pod })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  });

  it('of DEL let the interface come home under another name', { tags: 'sriov/del-name-taken' }, async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const { link, pci } = vfs.at(0);
    await lab.call('ADD', { conf: lab.conf(0, { mac: MAC }), pod });
    await node.ip(`link add ${link} type dummy`);
    const { exitCode, stderr } = await lab.call('DEL', { conf: lab.conf(0), pod });
    await node.ip(`link del ${link}`);
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining(`now has the name "${link}"`)]);
    expect(linksOf(pci)).toEqual([expect.stringMatching(/^dev\d+$/)]);
    expect(lab.records()).toEqual([]);
  });
});

describe('many', () => {
  it('pods that want fewer VFs get one each, no two the same', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(4);
    const lab = new SriovLab(node, vfs);
    const before = await lab.picture();
    const pods = await Promise.all(Array.from({ length: 7 }, (_, index) => node.pod(`p${index}`)));
    // each asks for one VF after the other until it has one, beginning at a place of its own
    const taken = await Promise.all(
      pods.map(async (pod, index) => {
        for (let turn = 0; turn < 4; turn++) {
          const id = (index + turn) % 4;
          const conf = lab.conf(id, { trust: 'on', ...at(`10.90.0.${10 + index}/24`) });
          const { exitCode, stdout } = await lab.call('ADD', { conf, pod });
          if (exitCode === 0) {
            return id;
          }
          expect(JSON.parse(stdout)).toMatchObject({ code: 11, msg: expect.stringContaining('already allocated') });
        }
        return undefined;
      }),
    );
    const got = taken.filter((id) => id !== undefined).sort();
    expect(got).toEqual([0, 1, 2, 3]);
    await Promise.all(pods.map((pod, index) => lab.call('DEL', { conf: lab.conf(taken[index] ?? 0), pod })));
    expect(await lab.picture()).toEqual(before);
  }, 300_000);
});

describe('files of the Go plugin', { tags: 'sriov/dataDir' }, () => {
  /** As the Go plugin leaves an attachment of VF 0 with a hardware address, VLAN and trust. */
  async function addAsGo(node: Node, lab: SriovLab, vfs: Vfs, pod: Awaited<ReturnType<Node['pod']>>): Promise<void> {
    const { link, pci } = vfs.at(0);
    const own = (await linkIn(undefined, link))?.['address'];
    const { address: admin } = await vfAttributes(CARD.link, 0);
    await node.ip(`link set ${CARD.link} vf 0 mac ${MAC} vlan 40 trust on`);
    await node.ip(`link set ${link} address ${MAC}`);
    await node.ip(`link set ${link} netns ${pod.name} name net1`);
    await node.ip('link set net1 up mtu 1400', pod);
    const record = `{"MAC":"${MAC}","MTU":1500,"Master":"${CARD.link}","OrigVfState":{"AdminMAC":"${admin}","EffectiveMAC":"${own}","HostIFName":"${link}","LinkState":0,"MTU":1500,"MaxTxRate":0,"MinTxRate":0,"SpoofChk":true,"Trust":false,"Vlan":0,"VlanProto":33024,"VlanQoS":0},"VFID":0,"cniVersion":"1.0.0","deviceID":"${pci}","ipam":{"type":"test-ipam"},"max_tx_rate":null,"min_tx_rate":null,"name":"blue","runtimeConfig":{},"trust":"on","type":"sriov","vlan":40,"vlanProto":"802.1q","vlanQoS":0}`;
    lab.putState(`${pod.name}-net1`, record);
    lab.putState(`pci/${pci}`, pod.path);
  }

  it.each([
    ['with its pod', true],
    ['after its pod', false],
  ])('say how a VF goes home %s', async (_, isAlive) => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    await addAsGo(node, lab, vfs, pod);
    if (!isAlive) {
      await node.remove(pod);
    }
    expect(await lab.call('DEL', { conf: lab.conf(0), pod })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  });

  it('say that a VF is taken, as long as its pod lives', { tags: 'sriov/allocated' }, async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const [holder, pod] = [await node.pod('holder'), await node.pod()];
    lab.putState(`pci/${vfs.at(0).pci}`, holder.path);
    const { stdout } = await lab.call('ADD', { conf: lab.conf(0), pod });
    expect(JSON.parse(stdout)).toMatchObject({ code: 11, msg: expect.stringContaining('already allocated') });
    await node.remove(holder);
    expect(await lab.call('ADD', { conf: lab.conf(0), pod })).toMatchObject({ exitCode: 0 });
    await lab.call('DEL', { conf: lab.conf(0), pod });
    expect(lab.records()).toEqual([]);
  });

  it('lock: a call waits as long as another program has the VF', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const lock = `${STATE}/pci/vf_lock/${vfs.at(0).pci}.lock`;
    await mustRun(['mkdir', '-p', `${STATE}/pci/vf_lock`]);
    const order: string[] = [];
    const other = mustRun(['flock', '-x', lock, 'sleep', '6']).then(() => order.push('other'));
    const added = lab.call('ADD', { conf: lab.conf(0), pod }).then(() => order.push('ADD'));
    await Promise.all([other, added]);
    expect(order).toEqual(['other', 'ADD']);
    await lab.call('DEL', { conf: lab.conf(0), pod });
  });

  it('and ours are for root alone', { tags: 'sriov/folders' }, async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    await lab.call('ADD', { conf: lab.conf(0), pod });
    const modes = Object.entries(filesIn(STATE)).map(([name, content]) => [name, content.slice(0, 3)]);
    expect(Object.fromEntries(modes)).toEqual({
      [`${pod.name}-net1`]: '600',
      'pci/': '700',
      [`pci/${vfs.at(0).pci}`]: '600',
      'pci/vf_lock/': '700',
      [`pci/vf_lock/${vfs.at(0).pci}.lock`]: '600',
    });
    await lab.call('DEL', { conf: lab.conf(0), pod });
  });
});

describe('a VF whose administrative address was set after its driver was bound', () => {
  it('is free after DEL, although its driver does not take the former address back', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    await node.ip(`link set ${CARD.link} vf 0 mac 02:00:00:00:00:98`);
    for (const mac of [MAC, '']) {
      expect(await lab.call('ADD', { conf: lab.conf(0, { mac }), pod })).toMatchObject({ exitCode: 0 });
      expect(await lab.call('DEL', { conf: lab.conf(0, { mac }), pod })).toMatchObject(OK);
      expect(lab.records()).toEqual([]);
      expect(linksOf(vfs.at(0).pci)).toEqual([vfs.at(0).link]);
      expect(await vfAttributes(CARD.link, 0)).toMatchObject({ address: '02:00:00:00:00:98' });
    }
  });
});

describe('a record that is lost', () => {
  it('is made up for by the allocation', async () => {
    await using node = Node.open();
    await using vfs = await Vfs.make(1);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await vfAttributes(CARD.link, 0);
    await lab.call('ADD', { conf: lab.conf(0, { mac: MAC, trust: 'on', vlan: 9 }), pod });
    rmSync(`${STATE}/${pod.name}-net1`);
    expect(await lab.call('DEL', { conf: lab.conf(0), pod })).toMatchObject(OK);
    expect(await vfAttributes(CARD.link, 0)).toEqual({ ...before, address: NO_MAC });
    expect(linksOf(vfs.at(0).pci)).toHaveLength(1);
    expect(lab.records()).toEqual([]);
  });
});

describe('examples', () => {
  const files = globSync('plugins/sriov/examples/*.conflist', { cwd: ROOT }).sort();

  it.each(files)('%s runs ADD, CHECK, STATUS, DEL, DEL through cnitool, and leaves nothing', async (file) => {
    await using node = Node.open();
    await using vfs = await Vfs.make(3);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    const network = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as Network;
    const run = (verb: CnitoolCall['verb']) =>
      node.cnitool({ verb, network, pod, env: { CAP_ARGS: JSON.stringify({ mac: MAC }) } });
    expect(await run('add')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('"net1"') });
    expect(await run('check')).toMatchObject(OK);
    expect(await run('status')).toMatchObject({ exitCode: 0 });
    expect(await run('del')).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
    expect(await run('del')).toMatchObject(OK);
  });
});
