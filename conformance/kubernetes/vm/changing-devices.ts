/** Tests of devices that come, go and fall ill: what our device plugin does, and that of Go does not. */
import { expect, it } from 'vitest';
import { untilAllocatable } from '../device-plugin.ts';
import { leavesNothing } from '../everything.ts';
import { NETWORKS, removePods, running, runPods } from '../pods.ts';
import { podOn, podWith, type Rail, RDMA, resourceOf, VFIO, type VfLab } from './lab.ts';
import { bind, filesInPod, firstVfOf, placesOf, rdmaDevicesOf, unbind } from './vfs.ts';

export function testChangingDevices(labNow: () => VfLab): void {
  const untilThere = (rail: Rail, count: number): Promise<void> =>
    untilAllocatable(labNow().kubernetes, 'n2', { [resourceOf(rail)]: String(count) });

  /** Does something while a pod has a VF of the first card, which it keeps. */
  async function underPod(work: () => Promise<void>): Promise<void> {
    const { kubernetes, node } = labNow();
    const before = await placesOf(node);
    await leavesNothing(kubernetes, async () => {
      await runPods(kubernetes, [podWith('a', 1)]);
      const held = await firstVfOf(kubernetes, 'a');
      await work();
      expect(await firstVfOf(kubernetes, 'a')).toEqual(held);
      await removePods(kubernetes);
    });
    expect(await placesOf(node)).toEqual(before);
  }

  it('a VF without a driver is not handed out, and is again as soon as it has one', async () => {
    const { kubernetes, node } = labNow();
    await underPod(async () => {
      const free = (await placesOf(node)).filter(({ link }) => link.startsWith('rail0v'));
      const [first, ...others] = free;
      await unbind(node, free);
      await untilThere('rail0', 1);
      await bind(node, free.slice(0, 1));
      await untilThere('rail0', 2);
      await runPods(kubernetes, [podWith('b', 1)]);
      expect((await firstVfOf(kubernetes, 'b')).pci).toBe(first?.pci);
      await bind(node, others);
      await untilThere('rail0', 4);
    });
  });

  it('VFs of a card that are unmade and made again are handed out again, with all that they are for', async () => {
    const lab = labNow();
    const { kubernetes } = lab;
    await underPod(async () => {
      await lab.unmake('rail2');
      await untilAllocatable(kubernetes, 'n2', { [resourceOf('rail2')]: '0', [VFIO]: '0' });
      await lab.make('rail2');
      await untilAllocatable(kubernetes, 'n2', { [resourceOf('rail2')]: '6', [VFIO]: '1' });
      await runPods(kubernetes, [podOn('b', ['rail2'])]);
    });
  });

  it('VFs of a card that is down are not handed out while it is', async () => {
    const { kubernetes, node } = labNow();
    await underPod(async () => {
      await node.run(['ip', 'link', 'set', 'rail2', 'down']);
      await untilThere('rail2', 0);
      await node.run(['ip', 'link', 'set', 'rail2', 'up']);
      await untilThere('rail2', 6);
      await runPods(kubernetes, [podOn('b', ['rail2'])]);
    });
  });

  it('an RDMA device that a pod has while the device plugin is killed is given out again when the pod is gone', async () => {
    const lab = labNow();
    const { kubernetes, node, plugin } = lab;
    await lab.leavesNothing(async () => {
      const wanted = { node: 'n2', annotations: { [NETWORKS]: 'vf-rdma' }, limits: { [RDMA]: '1' } };
      await runPods(kubernetes, [{ name: 'a', ...wanted }]);
      await plugin.stop('kill');
      await untilAllocatable(kubernetes, 'n2', { [RDMA]: '0' });
      await plugin.start();
      await untilAllocatable(kubernetes, 'n2', { [RDMA]: '1' });
      await removePods(kubernetes);
      await runPods(kubernetes, [{ name: 'b', ...wanted }]);
      const { netns } = await running(kubernetes, 'b');
      expect(await rdmaDevicesOf(node, netns)).toEqual(['rdma0']);
      expect(await filesInPod(kubernetes, node, 'b', '/dev/infiniband')).toContainEqual(
        expect.stringMatching(/^uverbs/),
      );
      await removePods(kubernetes);
    });
  });
}
