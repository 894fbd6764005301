/** Pods whose only networks are ours, under a real container runtime. */
import { describe, expect, it } from 'vitest';
import { linkOf, stateOf } from '../lab/state.ts';
import { macvlan, makeRails, multus, railName, whereabouts } from './networks.ts';
import { RUNTIMES, Site } from './site.ts';

describe.each(RUNTIMES)('$name', (programs) => {
  it('macvlan: a pod gets its address, reaches another, and gives everything back', async () => {
    await using site = await Site.open(programs);
    await site.configure([macvlan()]);
    await site.leavesNothing(async () => {
      const [a, b] = [await site.run({ name: 'a' }), await site.run({ name: 'b' })];
      expect([a.ips, b.ips]).toEqual([['10.5.0.1'], ['10.5.0.2']]);
      expect(await site.addresses(a, 'eth0')).toEqual(['10.5.0.1/24']);
      expect(site.reservations()).toMatchObject([
        { containerId: a.id, ifName: 'eth0', address: expect.stringMatching(/\.1$/) },
        { containerId: b.id, ifName: 'eth0', address: expect.stringMatching(/\.2$/) },
      ]);
      await site.reach(a, 'eth0', '10.5.0.2');
      await site.reach(b, 'eth0', '10.5.0.1');
      await site.cri.stop(a.id);
      expect(site.reservations()).toMatchObject([{ containerId: b.id }]);
      await site.remove(a); // stops it again
      await site.remove(b);
    });
  });

  it('macvlan: a pod with two families has both in its status', async () => {
    await using site = await Site.open(programs);
    const ipam = {
      type: 'whereabouts',
      datastore: 'file',
      ipRanges: [{ range: '10.5.0.0/24' }, { range: 'fd05::/64' }],
    };
    await site.configure([macvlan({ ipam })]);
    await site.leavesNothing(async () => {
      const pod = await site.run({ name: 'a' });
      expect(pod.ips.toSorted()).toEqual(['10.5.0.1', 'fd05::1']);
      await site.remove(pod);
    });
  });

  it('multus: a pod gets three networks, reaches another over each, and gives everything back', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 3);
    await site.configure([multus(site, 3)]);
    await site.leavesNothing(async () => {
      const [a, b] = [await site.run({ name: 'a' }), await site.run({ name: 'b' })];
      expect([a.ips, b.ips]).toEqual([['10.6.0.1'], ['10.6.0.2']]);
      for (const rail of [0, 1, 2]) {
        expect(await site.addresses(a, railName(rail))).toEqual([`10.6.${rail}.1/24`]);
        await site.reach(a, railName(rail), `10.6.${rail}.2`);
      }
      expect(site.reservations()).toHaveLength(6);
      await site.remove(a);
      await site.remove(b);
    });
  });

  it('host-device: a pod gets a device whole, and the node has it back as it was', async () => {
    await using site = await Site.open(programs);
    const { lab } = site;
    await lab.ip(lab.node, 'link add nic type veth peer name nic-port address 02:00:00:00:00:09');
    await lab.ip(lab.node, 'address add 10.7.0.200/24 dev nic-port');
    await lab.ip(lab.node, 'address add 192.0.2.1/24 dev nic');
    await lab.ip(lab.node, 'link set nic mtu 1400');
    await lab.ip(lab.node, 'link set nic up');
    await lab.ip(lab.node, 'link set nic-port up');
    await site.configure([{ type: 'host-device', device: 'nic', ipam: whereabouts('10.7.0.0/24') }]);
    await site.leavesNothing(async () => {
      const pod = await site.run({ name: 'a' });
      expect(pod.ips).toEqual(['10.7.0.1']);
      expect(linkOf(await site.stateOf(pod), 'eth0')).toMatchObject({ mtu: 1400 });
      expect(linkOf(await stateOf(lab.node), 'nic')).toBeUndefined();
      await site.reach(pod, 'eth0', '10.7.0.200');
      await site.remove(pod);
    });
  });
});
