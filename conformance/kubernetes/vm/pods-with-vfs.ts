/** Tests of pods that a kubelet gives virtual functions to: what they have, and that it comes back. */
import { expect, it } from 'vitest';
import { addressOn, NETWORKS, networkStatusOf, podState, reach, removePods, running, runPods } from '../pods.ts';
import { taken } from '../pools.ts';
import { podWith, RDMA, railsOf, VFIO, type VfLab } from './lab.ts';
import { environmentOf, filesInPod, rdmaDevicesOf, vfsOf } from './vfs.ts';

export function testPodsWithVfs(labNow: () => VfLab): void {
  it('a pod with a VF has the one that the kubelet gave out, on the wire, and it is back as it was', async () => {
    const lab = labNow();
    const { kubernetes, node } = lab;
    await lab.leavesNothing(async () => {
      const [pod] = await runPods(kubernetes, [
        podWith('a', 1),
        { name: 'b', node: 'n1', annotations: { [NETWORKS]: 'macvlan-rail0' } },
      ]);
      const given = (await environmentOf(kubernetes, node, 'a'))['PCIDEVICE_EXAMPLE_COM_RAIL0'];
      const a = await running(kubernetes, 'a');
      const { links } = await podState(a);
      expect(links.find(({ ifname }) => ifname === 'net1')).toMatchObject({ parentdev: given });
      const away = (await vfsOf(node)).vfs.filter(({ driver, link }) => driver === 'igbvf' && link === '');
      expect(away.map(({ pci }) => pci)).toEqual([given]);
      expect(networkStatusOf(pod ?? expect.fail())[1]).toMatchObject({
        name: 'default/vf-rail0',
        interface: 'net1',
        ips: [await addressOn(a, 'net1')],
        'device-info': { type: 'pci', version: '1.1.0', pci: { 'pci-address': given } },
      });
      await reach(a, await running(kubernetes, 'b'), 'net1');
      await removePods(kubernetes);
    });
  });

  it.each([3, 8, 16])('a pod with %i VFs of three cards has each where its annotation says', async (count) => {
    const lab = labNow();
    const { kubernetes, node } = lab;
    await lab.leavesNothing(async () => {
      const [pod] = await runPods(kubernetes, [podWith('many', count)]);
      const environment = await environmentOf(kubernetes, node, 'many');
      const { links } = await podState(await running(kubernetes, 'many'));
      const rails = railsOf(count);
      for (const [index, rail] of rails.entries()) {
        const given = environment[`PCIDEVICE_EXAMPLE_COM_${rail.toUpperCase()}`]?.split(',').sort() ?? [];
        const earlier = rails.slice(0, index).filter((one) => one === rail).length;
        const link = links.find(({ ifname }) => ifname === `net${index + 1}`);
        expect(link).toMatchObject({ parentdev: given[earlier] });
      }
      expect(networkStatusOf(pod ?? expect.fail()).map(({ name }) => name)).toEqual([
        'pods',
        ...rails.map((rail) => `default/vf-${rail}`),
      ]);
      expect(await taken(kubernetes)).toHaveLength(1 + count);
      await removePods(kubernetes);
    });
  });

  it('an RDMA device goes with its VF, and both come back', async () => {
    const lab = labNow();
    const { kubernetes, node } = lab;
    expect(await rdmaDevicesOf(node)).toEqual(['rdma0']);
    await lab.leavesNothing(async () => {
      const [pod] = await runPods(kubernetes, [
        { name: 'a', node: 'n2', annotations: { [NETWORKS]: 'vf-rdma' }, limits: { [RDMA]: '1' } },
        { name: 'b', node: 'n1', annotations: { [NETWORKS]: 'macvlan-rail1' } },
      ]);
      const a = await running(kubernetes, 'a');
      expect([await rdmaDevicesOf(node, a.netns), await rdmaDevicesOf(node)]).toEqual([['rdma0'], []]);
      expect(await filesInPod(kubernetes, node, 'a', '/dev/infiniband')).toEqual([
        expect.stringMatching(/^issm\d+$/),
        expect.stringMatching(/^umad\d+$/),
        expect.stringMatching(/^uverbs\d+$/),
      ]);
      expect(networkStatusOf(pod ?? expect.fail())[1]?.['device-info']).toMatchObject({
        pci: { 'rdma-device': 'rdma0' },
      });
      await reach(a, await running(kubernetes, 'b'), 'net1');
      await removePods(kubernetes);
    });
    expect(await rdmaDevicesOf(node)).toEqual(['rdma0']);
  });

  it('a VF that a program is to have stays with its driver, and the pod has its device file', async () => {
    const lab = labNow();
    const { kubernetes, node } = lab;
    await lab.leavesNothing(async () => {
      const before = await vfsOf(node);
      const [pod] = await runPods(kubernetes, [
        { name: 'a', node: 'n2', annotations: { [NETWORKS]: 'vf-vfio' }, limits: { [VFIO]: '1' } },
      ]);
      const given = (await environmentOf(kubernetes, node, 'a'))['PCIDEVICE_EXAMPLE_COM_VFIO'] ?? '';
      const group = (await node.run(['readlink', `/sys/bus/pci/devices/${given}/iommu_group`]))
        .trim()
        .split('/')
        .at(-1);
      expect(await filesInPod(kubernetes, node, 'a', '/dev/vfio')).toEqual([group, 'vfio']);
      expect((await podState(await running(kubernetes, 'a'))).links.map(({ ifname }) => ifname)).toEqual([
        'lo',
        'eth0',
      ]);
      expect((await vfsOf(node)).vfs).toEqual(before.vfs);
      expect(networkStatusOf(pod ?? expect.fail())[1]).toMatchObject({
        name: 'default/vf-vfio',
        'device-info': { type: 'pci', version: '1.1.0', pci: { 'pci-address': given } },
      });
      await removePods(kubernetes);
    });
  });
}
