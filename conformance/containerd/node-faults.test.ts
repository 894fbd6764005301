/** The node or its runtime dies, or its configuration changes: nobody loses an address, nothing leaks. */
import { describe, expect, it } from 'vitest';
import { linkOf, stateOf } from '../lab/state.ts';
import { macvlan, makeRails, multus, whereabouts } from './networks.ts';
import { RUNTIMES, Site } from './site.ts';
import { Tap } from './tap.ts';

describe.each(RUNTIMES)('$name', (programs) => {
  it('killed and back: pods keep what they have, and give it back', async () => {
    await using site = await Site.open(programs);
    await site.configure([macvlan()]);
    await site.leavesNothing(async () => {
      const [a] = [await site.run({ name: 'a' }), await site.run({ name: 'b' })];
      await site.node.crash();
      expect(await site.cri.sandbox(a.id)).toMatchObject({ isReady: true, ips: a.ips });
      await site.reach(a, 'eth0', '10.5.0.2');
      expect((await site.run({ name: 'c' })).ips).toEqual(['10.5.0.3']);
      await site.removeAll();
    });
  });

  it('killed while pods start: it still knows them all, and they can be removed', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 2);
    await site.configure([multus(site, 2)]);
    await site.leavesNothing(async () => {
      const running = Array.from({ length: 8 }, (_, index) =>
        site.run({ name: `pod-${index}` }).catch(() => undefined),
      );
      await Promise.race(running);
      await site.node.crash();
      await Promise.all(running);
      await site.removeAll();
    });
  });

  it('power cut: a pod is stopped with an empty namespace path, and gives everything back', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 3);
    const tap = Tap.into(site, 'multus');
    await site.configure([multus(site, 3)]);
    await site.leavesNothing(async () => {
      const pods = [await site.run({ name: 'a' }), await site.run({ name: 'b' })];
      await site.node.cutPower();
      await site.node.boot();
      expect(await site.cri.list()).toEqual({ a: pods[0]?.id, b: pods[1]?.id });
      const before = tap.calls().length;
      expect((await site.run({ name: 'c' })).ips).toEqual(['10.6.0.3']); // what is not given back is not free
      await Promise.all(pods.map((pod) => site.remove(pod)));
      const dels = tap.calls().slice(before);
      const paths = dels.filter(({ env }) => env['CNI_COMMAND'] === 'DEL').map(({ env }) => env['CNI_NETNS']);
      expect(new Set(paths)).toEqual(new Set(['']));
      await site.removeAll();
    });
  });

  it('power cut: a device goes to the next pod, and the DEL of the one before does not touch it', async () => {
    await using site = await Site.open(programs);
    const { lab } = site;
    const makeNic = async (): Promise<void> => {
      await lab.ip(lab.node, 'link add nic address 02:00:00:00:00:07 type veth peer name nic-port');
      await lab.ip(lab.node, 'link set nic up');
    };
    await makeNic();
    await site.configure([{ type: 'host-device', device: 'nic', ipam: whereabouts() }]);
    await site.leavesNothing(async () => {
      const a = await site.run({ name: 'a' });
      await site.node.cutPower();
      await makeNic(); // it ended with the namespace, as hardware does not
      await site.node.boot();
      const b = await site.run({ name: 'b' });
      await site.remove(a);
      expect(linkOf(await site.stateOf(b), 'eth0')).toMatchObject({ address: '02:00:00:00:00:07' });
      expect(linkOf(await stateOf(lab.node), 'nic')).toBeUndefined();
      await site.remove(b);
    });
  });

  it('another configuration under running pods: multus gives back what ADD took, wherever that was', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 3);
    await site.configure([multus(site, 3)]);
    await site.leavesNothing(async () => {
      const a = await site.run({ name: 'a' });
      const ipam = whereabouts('10.8.0.0/24', { network_name: 'other' });
      const delegates = [{ cniVersion: site.cniVersion, name: 'other', ...macvlan({ ipam }) }];
      await site.configure([multus(site, 0, { delegates })]);
      const b = await site.run({ name: 'b' });
      expect(b.ips).toEqual(['10.8.0.1']);
      await site.remove(a);
      expect(site.reservations()).toMatchObject([{ containerId: b.id }]);
      await site.remove(b);
    });
  });

  it('another parent, MTU and range under running pods: macvlan gives back what ADD took', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 1);
    await site.configure([macvlan()]);
    await site.leavesNothing(async () => {
      const a = await site.run({ name: 'a' });
      await site.configure([macvlan({ master: 'rail0', mtu: 1300, ipam: whereabouts('10.9.0.0/24') })]);
      await site.remove(a);
    });
  });

  it('another plugin under running pods: GC of the one before finds what DEL of the new one cannot', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 3);
    await site.configure([multus(site, 3)]);
    await site.leavesNothing(async () => {
      const a = await site.run({ name: 'a' });
      await site.configure([macvlan()]);
      await site.remove(a);
      expect(site.reservations()).toMatchObject([{ ifName: 'net1' }, { ifName: 'net2' }]);
      await site.collect(multus(site, 3));
    });
  });
});
