/** Tests of device plugins that run as pods: by manifests of Go's with our images, and as the chart does it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { rendered } from '../../build/chart.ts';
import { imageOf, VERSION } from '../../containerd/own-image.ts';
import { eventually } from '../../lab/eventually.ts';
import { untilAllocatable } from '../device-plugin.ts';
import type { Kubernetes } from '../kubernetes.ts';
import { applyNetwork } from '../multus.ts';
import { macvlan } from '../networks.ts';
import { NETWORKS, networkStatusOf, reach, removePods, running, runPods } from '../pods.ts';
import { sharedRdma, sriovOfOperator } from './go-manifests.ts';
import { podWith, RDMA_VF, RESOURCES, resourceOf, type VfLab } from './lab.ts';
import { filesInPod, firstVfOf } from './vfs.ts';
import type { VmNode } from './vm-node.ts';

const NODE = 'n2';
const SHARED = 'rdma/shared';
/** Namespaces end some time after their pods. */
const MODE_MS = 120_000;

export function testInContainers(labNow: () => VfLab): void {
  const all = (count: number): Promise<void> =>
    untilAllocatable(labNow().kubernetes, NODE, { [resourceOf('rail0')]: String(count) });

  const load = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) {
      await labNow().node.loadImage(await imageOf(name));
    }
  };

  // Each time: what brings the lab back after a failure starts it.
  beforeEach(() => labNow().plugin.stop('stop'));
  afterEach(async ({ task }) => {
    for (const one of [...left]) {
      await one.remove();
    }
    if (task.result?.state === 'fail') {
      await removePods(labNow().kubernetes);
      await setMode(labNow().node, 'exclusive');
    }
  });
  afterAll(async () => {
    const { plugin } = labNow();
    if (!(await plugin.isRunning())) {
      await plugin.start();
    }
  });

  it('the operator’s manifest takes our image; the chart takes over under pods, and is updated under them', async () => {
    const lab = labNow();
    const { kubernetes } = lab;
    await load('braid-sriov-network-device-plugin', 'braid');
    await all(0);
    const config = { resourceList: RESOURCES };
    const image = `localhost/braid-sriov-network-device-plugin:${VERSION}`;
    await lab.leavesNothing(async () => {
      const operator = await applied(kubernetes, 'operator.json', sriovOfOperator({ node: NODE, image, config }));
      await all(4);
      const [pod] = await runPods(kubernetes, [podWith('a', 1)]);
      expect(networkStatusOf(pod ?? expect.fail())[1]).toHaveProperty('device-info');
      const held = await firstVfOf(kubernetes, 'a');
      await operator.remove();
      await all(0);

      const chart = await applied(kubernetes, 'chart.yaml', chartText());
      await all(4);
      await runPods(kubernetes, [podWith('b', 1)]);
      const second = await firstVfOf(kubernetes, 'b');
      expect(second.pci).not.toBe(held.pci);
      await chart.restart('daemonset/braid-devices'); // its surge has the next one take the sockets over
      await lab.untilThereNow();
      await runPods(kubernetes, [podWith('c', 1)]);
      expect([await firstVfOf(kubernetes, 'a'), await firstVfOf(kubernetes, 'b')]).toEqual([held, second]);
      expect([held.pci, second.pci]).not.toContain((await firstVfOf(kubernetes, 'c')).pci);
      await removePods(kubernetes);
      await chart.remove();
      await all(0);
    });
  });

  it('pods share an RDMA device by the manifest of the Go plugin: each has its files, and a macvlan on its card', async () => {
    const { kubernetes, node } = labNow();
    await load('braid-k8s-rdma-shared-dev-plugin');
    await setMode(node, 'shared');
    await node.run(['modprobe', 'rdma_ucm']);
    const selectors = { ifNames: [RDMA_VF] };
    const config = { configList: [{ resourceName: 'shared', rdmaHcaMax: 3, selectors }] };
    const image = `localhost/braid-k8s-rdma-shared-dev-plugin:${VERSION}`;
    const plugin = await applied(kubernetes, 'rdma.json', sharedRdma({ node: NODE, image, config }));
    await untilAllocatable(kubernetes, NODE, { [SHARED]: '3' });
    await applyNetwork(kubernetes, 'shared', { cniVersion: '1.0.0', plugins: [macvlan(RDMA_VF, '10.6.9.0/24')] });
    const wanted = { node: NODE, annotations: { [NETWORKS]: 'shared' }, limits: { [SHARED]: '1' } };
    await runPods(kubernetes, [
      { name: 'a', ...wanted },
      { name: 'b', ...wanted },
    ]);
    for (const name of ['a', 'b']) {
      expect(await filesInPod(kubernetes, node, name, '/dev/infiniband')).toEqual([
        expect.stringMatching(/^issm\d+$/),
        'rdma_cm',
        expect.stringMatching(/^umad\d+$/),
        expect.stringMatching(/^uverbs\d+$/),
      ]);
    }
    await reach(await running(kubernetes, 'a'), await running(kubernetes, 'b'), 'net1');
    await node.run(['rdma', 'link', 'delete', 'rdma0']);
    await untilAllocatable(kubernetes, NODE, { [SHARED]: '0' });
    await node.run(['rdma', 'link', 'add', 'rdma0', 'type', 'rxe', 'netdev', RDMA_VF]);
    await untilAllocatable(kubernetes, NODE, { [SHARED]: '3' });
    await removePods(kubernetes);
    await plugin.remove();
    await setMode(node, 'exclusive');
  });
}

/** It can be changed while there is no other network namespace. */
const setMode = (node: VmNode, mode: 'shared' | 'exclusive'): Promise<void> =>
  eventually(async () => (await node.execute(['rdma', 'system', 'set', 'netns', mode])).exitCode, 0, MODE_MS);

/** The chart's own DaemonSet: of the rest, other tests tell. */
function chartText(): string {
  const values = ['devices.enabled=true', 'node.nodeSelector.kubernetes\\.io/hostname=n2'];
  const options = ['--show-only', 'templates/devices.yaml', ...values.flatMap((value) => ['--set', value])];
  const { exitCode, stdout, stderr } = rendered(...options);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

interface Applied {
  restart(what: string): Promise<void>;
  remove(): Promise<void>;
}

/** What a test that fails does not remove. */
const left = new Set<Applied>();

async function applied(kubernetes: Kubernetes, file: string, objects: string | readonly object[]): Promise<Applied> {
  const path = join(kubernetes.folder, file);
  const items = { apiVersion: 'v1', kind: 'List', items: objects };
  writeFileSync(path, typeof objects === 'string' ? objects : JSON.stringify(items));
  const kubectl = async (...words: readonly string[]): Promise<void> => {
    const { exitCode, stdout, stderr } = await kubernetes.kubectl('-n', 'kube-system', ...words);
    if (exitCode !== 0) {
      const pods = await kubernetes.kubectl('-n', 'kube-system', 'describe', 'pods');
      throw new Error(`kubectl ${words.join(' ')}: ${stderr || stdout}\n${pods.stdout.slice(-4_000)}`);
    }
  };
  const all: Applied = {
    restart: async (what) => {
      await kubectl('rollout', 'restart', what);
      await kubectl('rollout', 'status', what, '--timeout=5m');
    },
    remove: async () => {
      left.delete(all);
      await kubectl('delete', '-f', path, '--ignore-not-found', '--cascade=foreground', '--timeout=5m');
    },
  };
  left.add(all);
  await kubectl('apply', '-f', path);
  return all;
}
