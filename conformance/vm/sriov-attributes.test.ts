/** Every attribute of a VF, on a driver that knows all of them and moves no traffic. */
import { describe, expect, it } from 'vitest';
import { VERSIONS } from '../lab/programs.ts';
import { requestsOf } from '../lab/steps.ts';
import { Node } from './node.ts';
import { vfAttributes } from './picture.ts';
import { SimulatedCard } from './simulated.ts';
import { ALL, linkIn, MAC, messageIn, OK, SriovLab } from './sriov-lab.ts';
import { Vfs } from './vfs.ts';

/** As ip(8) shows them. */
const SEEN = {
  address: MAC,
  vlan_list: [{ vlan: 100, qos: 3, protocol: '802.1ad' }],
  rate: { max_tx: 100, min_tx: 10 },
  spoofchk: false,
  link_state: 'enable',
  trust: true,
};

describe('sriov, with a driver that knows every attribute,', () => {
  it('sets all of them, and DEL restores all of them', async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open();
    await using vfs = await Vfs.make(3, simulated);
    const { card } = simulated;
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    await node.ip(`link set ${card.link} vf 1 mac 02:00:00:00:00:31 vlan 7 qos 2 trust on max_tx_rate 5`);
    const before = await lab.picture();
    const conf = lab.conf(1, ALL);
    const added = await lab.call('ADD', { conf, pod });
    expect(added).toMatchObject({ exitCode: 0 });
    const prevResult = JSON.parse(added.stdout) as object;
    expect(prevResult).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'net1', mac: MAC, mtu: 1400, sandbox: pod.path }],
      ips: [{ address: '10.90.0.5/24', interface: 0 }],
    });
    expect(await vfAttributes(card.link, 1)).toMatchObject(SEEN);
    expect(await vfAttributes(card.link, 0)).toMatchObject({ address: '00:00:00:00:00:00', trust: false });
    expect(await linkIn(pod, 'net1')).toMatchObject({ address: MAC, mtu: 1400, parentdev: vfs.at(1).pci });
    expect(await lab.call('CHECK', { conf: { ...conf, prevResult }, pod })).toMatchObject(OK);
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  });

  it('touches none that is not asked for', async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open();
    await using vfs = await Vfs.make(1, simulated);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    await node.ip(`link set ${simulated.card.link} vf 0 vlan 7 qos 2 trust on spoofchk off state disable`);
    const before = await vfAttributes(simulated.card.link, 0);
    expect(await lab.call('ADD', { conf: lab.conf(0), pod })).toMatchObject({ exitCode: 0 });
    expect(await vfAttributes(simulated.card.link, 0)).toEqual(before);
    expect(await lab.call('DEL', { conf: lab.conf(0), pod })).toMatchObject(OK);
    expect(await vfAttributes(simulated.card.link, 0)).toEqual(before);
  });

  it('takes away what was left, when it is told to, for good', { tags: 'sriov/preclean' }, async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open();
    await using vfs = await Vfs.make(2, simulated);
    const { link } = simulated.card;
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    await node.ip(`link set ${link} vf 0 vlan 7 qos 2 trust on spoofchk off state disable max_tx_rate 5`);
    const conf = lab.conf(0, { preclean: true, vlan: 9 });
    expect(await lab.call('ADD', { conf, pod })).toMatchObject({ exitCode: 0 });
    const { vf: _, ...clean } = await vfAttributes(link, 1);
    expect(await vfAttributes(link, 0)).toEqual({ vf: 0, ...clean, vlan_list: [{ vlan: 9 }] });
    expect(await lab.call('DEL', { conf, pod })).toMatchObject(OK);
    expect(await vfAttributes(link, 0)).toEqual({ vf: 0, ...clean });
  });

  it('finds with CHECK what the PF has otherwise', { tags: 'sriov/check' }, async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open();
    await using vfs = await Vfs.make(1, simulated);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const conf = lab.conf(0, ALL);
    const prevResult: unknown = JSON.parse((await lab.call('ADD', { conf, pod })).stdout);
    const changes = {
      vlan: ['vlan 101', 'vlan 100 qos 3 proto 802.1ad'],
      rates: ['max_tx_rate 50', 'max_tx_rate 100 min_tx_rate 10'],
      spoofchk: ['spoofchk on', 'spoofchk off'],
      trust: ['trust off', 'trust on'],
      link_state: ['state disable', 'state enable'],
      mac: ['mac 02:00:00:00:00:99', `mac ${MAC}`],
    };
    for (const [key, [change, back]] of Object.entries(changes)) {
      await node.ip(`link set ${simulated.card.link} vf 0 ${change}`);
      const check = await lab.call('CHECK', { conf: { ...conf, prevResult }, pod });
      expect(messageIn(check)).toContain(`does not have ${key}`);
      await node.ip(`link set ${simulated.card.link} vf 0 ${back}`);
    }
    expect(await lab.call('CHECK', { conf: { ...conf, prevResult }, pod })).toMatchObject(OK);
    await lab.call('DEL', { conf, pod });
  });

  it('takes at most 12 netlink requests for an ADD with all of them', async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open();
    await using vfs = await Vfs.make(1, simulated);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const conf = lab.conf(0, ALL);
    const added = await lab.call('ADD', { conf, pod, killAfter: Number.POSITIVE_INFINITY });
    await lab.call('DEL', { conf, pod });
    expect(added).toMatchObject({ exitCode: 0 });
    expect(requestsOf(added)).toBeGreaterThan(5);
    expect(requestsOf(added)).toBeLessThanOrEqual(12);
  });

  it('speaks every version', async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open();
    await using vfs = await Vfs.make(1, simulated);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    const before = await lab.picture();
    for (const cniVersion of VERSIONS) {
      const conf = lab.conf(0, { cniVersion });
      const { exitCode, stdout } = await lab.call('ADD', { conf, pod });
      expect([exitCode, JSON.parse(stdout)]).toMatchObject([0, { cniVersion }]);
      if (cniVersion >= '0.4.0') {
        const prevResult: unknown = JSON.parse(stdout);
        expect(await lab.call('CHECK', { conf: { ...conf, prevResult }, pod }), cniVersion).toMatchObject(OK);
      }
      expect(await lab.call('DEL', { conf, pod }), cniVersion).toMatchObject(OK);
      expect(await lab.picture(), cniVersion).toEqual(before);
    }
  });

  it('says what is for a card of type InfiniBand', async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open({ isInfiniband: true });
    await using vfs = await Vfs.make(1, simulated);
    const lab = new SriovLab(node, vfs);
    const pod = await node.pod();
    expect(messageIn(await lab.call('ADD', { conf: lab.conf(0), pod }))).toContain('use the plugin ib-sriov');
  });
});
