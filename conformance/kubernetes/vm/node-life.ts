/** Tests of what a node goes through while its pods have devices: its daemons end, its power is cut. */
import { expect, it } from 'vitest';
import { until } from '../../containerd/poll.ts';
import { eventually } from '../../lab/eventually.ts';
import { untilAllocatable } from '../device-plugin.ts';
import { KUBELET_GC_MS, leavesNothing } from '../everything.ts';
import type { Kubernetes } from '../kubernetes.ts';
import {
  allPods,
  createPods,
  deletePods,
  eventsOf,
  isReady,
  removePods,
  running,
  untilPods,
  untilReady,
} from '../pods.ts';
import { createReplicas, remove, scale } from '../workloads.ts';
import { podWith, resourceOf, type VfLab } from './lab.ts';
import { firstVfOf, placesOf } from './vfs.ts';

export function testNodeLife(labNow: () => VfLab): void {
  it('five pods want four VFs; the device plugin is killed, the kubelet restarted: pods keep theirs', async () => {
    const lab = labNow();
    const { kubernetes, plugin } = lab;
    await lab.leavesNothing(async () => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      await createPods(
        kubernetes,
        names.map((name) => podWith(name, 1)),
      );
      const ready = await untilPods(kubernetes, 'four pods to be ready', (all) => {
        const pods = all.filter(isReady);
        return pods.length === 4 ? pods.map(({ metadata }) => metadata.name) : undefined;
      });
      const [waiting = ''] = names.filter((name) => !ready.includes(name));
      expect(await eventsOf(kubernetes, waiting)).toEqual(
        expect.arrayContaining([expect.stringContaining('Insufficient example.com/rail0')]),
      );
      const held = await Promise.all(ready.map((name) => firstVfOf(kubernetes, name)));
      expect(new Set(held.map(({ pci }) => pci)).size).toBe(4);

      await plugin.stop('kill');
      await untilAllocatable(kubernetes, 'n2', { 'example.com/rail0': '0' });
      await plugin.start();
      await untilAllocatable(kubernetes, 'n2', { 'example.com/rail0': '4' });
      await lab.restartKubelet();
      expect(await Promise.all(ready.map((name) => firstVfOf(kubernetes, name)))).toEqual(held);

      await deletePods(kubernetes, ready.slice(0, 1));
      await untilReady(kubernetes, [waiting]);
      expect((await firstVfOf(kubernetes, waiting)).pci).toBe(held[0]?.pci);
      await removePods(kubernetes);
    });
  });

  it('power cut: VFs are handed out again, and nothing of before is left', async () => {
    const lab = labNow();
    const { kubernetes, node } = lab;
    const before = await placesOf(node);
    const work = async (): Promise<void> => {
      const wanted = { node: 'n2', limits: { [resourceOf('rail0')]: '1' } };
      await createReplicas(kubernetes, 'Deployment', 'web', 'vf-rail0', wanted);
      const pods = await scale(kubernetes, 'Deployment', 'web', 2);
      const old = await Promise.all(pods.map(({ metadata }) => running(kubernetes, metadata.name)));
      await lab.cutPower();
      const again = await untilSandboxes(
        kubernetes,
        old.map(({ id }) => id),
      );
      const held = await Promise.all(again.map((name) => firstVfOf(kubernetes, name)));
      expect(new Set(held.map(({ pci }) => pci)).size).toBe(2);
      await remove(kubernetes, 'Deployment', 'web');
    };
    await leavesNothing(kubernetes, work, KUBELET_GC_MS);
    await eventually(() => placesOf(node), before, KUBELET_GC_MS);
  });
}

/** Waits for two ready pods that are none of these. @returns their names */
function untilSandboxes(kubernetes: Kubernetes, old: readonly string[]): Promise<readonly string[]> {
  return until(
    'two pods that have started since',
    async () => {
      const pods = (await allPods(kubernetes)).filter(isReady);
      const names = pods.map(({ metadata }) => metadata.name);
      const sandboxes = await Promise.all(names.map((name) => running(kubernetes, name)));
      return names.length === 2 && sandboxes.every(({ id }) => !old.includes(id)) ? names : undefined;
    },
    POWER_MS,
  );
}

const POWER_MS = 600_000;
