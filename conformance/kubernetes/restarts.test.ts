/** What a cluster goes through: daemons end, power is cut, and nobody loses an address, and nothing leaks. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../containerd/poll.ts';
import { KUBELET_GC_MS, leavesNothing, untilTaken } from './everything.ts';
import { Kubernetes } from './kubernetes.ts';
import { withRails } from './networks.ts';
import {
  addressOn,
  createPods,
  deletePods,
  eventsOf,
  podNamed,
  reach,
  removePods,
  running,
  runPods,
  untilPods,
  untilReady,
} from './pods.ts';

let kubernetes: Kubernetes;

beforeAll(async () => {
  kubernetes = await Kubernetes.start({ nodes: 2 });
  await kubernetes.configure(() => withRails(kubernetes, 2));
});

afterAll(() => kubernetes?.[Symbol.asyncDispose]());

const PAIR = [
  { name: 'a', node: 'n1' },
  { name: 'b', node: 'n2' },
];

const restartsOf = async (name: string): Promise<number | undefined> =>
  (await podNamed(kubernetes, name)).status.containerStatuses?.[0]?.restartCount;

it.each(['kubelet', 'containerd'] as const)(
  '%s killed, and stopped: pods keep what they have, others start',
  async (daemon) => {
    await leavesNothing(kubernetes, async () => {
      const node = kubernetes.node('n1');
      await runPods(kubernetes, PAIR);
      const [a, b] = [await running(kubernetes, 'a'), await running(kubernetes, 'b')];
      const address = await addressOn(a, 'net2');
      for (const how of ['kill', 'stop'] as const) {
        await node.restart(daemon, how);
      }
      await runPods(kubernetes, [{ name: 'c', node: 'n1' }]);
      expect(await running(kubernetes, 'a')).toEqual(a);
      expect([await addressOn(a, 'net2'), await restartsOf('a')]).toEqual([address, 0]);
      await reach(b, a, 'net2');
      await reach(b, await running(kubernetes, 'c'), 'net1');
      await removePods(kubernetes);
    });
  },
);

it('both killed while pods start and end: all that are wanted run, and nothing is held twice', async () => {
  await leavesNothing(kubernetes, async () => {
    const node = kubernetes.node('n1');
    const names = (prefix: string): readonly string[] => Array.from({ length: 6 }, (_, index) => `${prefix}-${index}`);
    const on1 = (name: string) => ({ name, node: 'n1' });
    await runPods(kubernetes, names('old').map(on1));
    await createPods(kubernetes, names('new').map(on1));
    await deletePods(kubernetes, names('old'));
    await until('the first new sandbox', async () =>
      (await node.cri.sandboxes()).some(({ pod }) => pod.startsWith('new')) ? true : undefined,
    );
    await node.stop('kubelet', 'kill');
    await node.restart('containerd', 'kill');
    await node.start('kubelet');
    await untilReady(kubernetes, names('new'));
    await untilPods(kubernetes, 'the old pods to be gone', (all) => (all.length === 6 ? true : undefined));
    await untilTaken(kubernetes, 18);
    await removePods(kubernetes);
  });
});

it('power cut of a node: its pods come back with their addresses, and those of other nodes live on', async () => {
  await leavesNothing(kubernetes, async () => {
    await runPods(kubernetes, [...PAIR, { name: 'c', node: 'n2' }]);
    const [a, b] = [await running(kubernetes, 'a'), await running(kubernetes, 'b')];
    const node = kubernetes.node('n2');
    await node.cutPower();
    await node.powerOn();
    await untilPods(kubernetes, 'the pods to run again', (all) => {
      const restarts = all.map(({ status }) => status.containerStatuses?.[0]?.restartCount ?? 0);
      return restarts.reduce((sum, count) => sum + count, 0) >= 2 ? true : undefined;
    });
    await untilReady(kubernetes, ['a', 'b', 'c']);
    const again = await running(kubernetes, 'b');
    expect(again.id).not.toBe(b.id);
    await reach(a, again, 'net1');
    expect([await running(kubernetes, 'a'), await restartsOf('a')]).toEqual([a, 0]);
    await untilTaken(kubernetes, 9);
    await removePods(kubernetes);
  });
});

it('power cut of a node whose pod is deleted meanwhile: all comes back when it does', async () => {
  const work = async (): Promise<void> => {
    await runPods(kubernetes, PAIR);
    const node = kubernetes.node('n2');
    await node.cutPower();
    await deletePods(kubernetes, ['b'], { force: true });
    await node.powerOn();
    await removePods(kubernetes);
  };
  await leavesNothing(kubernetes, work, KUBELET_GC_MS);
});

it('no API server: pods that run can end, and what they had is free when it is back', async () => {
  await leavesNothing(kubernetes, async () => {
    const node = kubernetes.node('n1');
    const names = ['a', 'b'];
    await runPods(
      kubernetes,
      names.map((name) => ({ name, node: 'n1', lastSeconds: 4 })),
    );
    await deletePods(kubernetes, names);
    for (const name of names) {
      await until(`the kubelet to end ${name}`, async () =>
        (await eventsOf(kubernetes, name)).some((line) => line.startsWith('Killing')) ? true : undefined,
      );
    }
    await kubernetes.cluster.apiServer().kill();
    await until('the runtime to have no pods', async () =>
      (await node.cri.sandboxes()).every(({ isReady }) => !isReady) ? true : undefined,
    );
    await kubernetes.cluster.restart('kill');
    await untilPods(kubernetes, 'the pods to be gone', (all) => (all.length === 0 ? true : undefined));
    await runPods(kubernetes, [{ name: 'next', node: 'n1' }]); // what one call could not finish is finished by another
    await removePods(kubernetes);
  });
});
