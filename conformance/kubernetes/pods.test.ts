/** Pods of kubelets on two nodes, with three networks each whose pools are the cluster's. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../containerd/poll.ts';
import { mustRun } from '../lab/execute.ts';
import { leavesNothing, untilTaken } from './everything.ts';
import { Kubernetes } from './kubernetes.ts';
import { withRails } from './networks.ts';
import {
  addressOn,
  createPods,
  deletePods,
  eventsOf,
  reach,
  removePods,
  running,
  runPods,
  untilReady,
} from './pods.ts';
import { taken } from './pools.ts';

let kubernetes: Kubernetes;

beforeAll(async () => {
  kubernetes = await Kubernetes.start({ nodes: 2 });
  await kubernetes.configure(() => withRails(kubernetes, 2));
});

afterAll(() => kubernetes?.[Symbol.asyncDispose]());

const INTERFACES = ['eth0', 'net1', 'net2'];

it('pods of two nodes share pools, and reach each other over each network', async () => {
  await leavesNothing(kubernetes, async () => {
    const pods = await runPods(kubernetes, [
      { name: 'a', node: 'n1' },
      { name: 'b', node: 'n2' },
    ]);
    const [a, b] = [await running(kubernetes, 'a'), await running(kubernetes, 'b')];
    expect(pods.map(({ status }) => status.podIP)).toEqual([await addressOn(a, 'eth0'), await addressOn(b, 'eth0')]);
    for (const ifName of INTERFACES) {
      await reach(a, b, ifName);
    }
    expect(await taken(kubernetes)).toHaveLength(6);
    await removePods(kubernetes);
  });
});

it('deleted by force, and made anew at once under the same names', async () => {
  await leavesNothing(kubernetes, async () => {
    const wanted = ['a', 'b', 'c', 'd'].map((name, index) => ({ name, node: index % 2 === 0 ? 'n1' : 'n2' }));
    const names = wanted.map(({ name }) => name);
    await runPods(kubernetes, wanted);
    await deletePods(kubernetes, names, { force: true });
    await runPods(kubernetes, wanted);
    await reach(await running(kubernetes, 'a'), await running(kubernetes, 'b'), 'net1');
    await untilTaken(kubernetes, 12);
    await deletePods(kubernetes, names, { force: true });
  });
});

it('a pod whose network cannot be made says why, leaves nothing, and starts when it can', async () => {
  await leavesNothing(kubernetes, async () => {
    const node = kubernetes.node('n1');
    const rename = (from: string, to: string): Promise<string> =>
      mustRun(['ip', '-n', node.netns, 'link', 'set', from, 'name', to]);
    await rename('rail1', 'away');
    await createPods(kubernetes, [{ name: 'early', node: 'n1' }]);
    await until('the second failure', async () => {
      const failures = (await eventsOf(kubernetes, 'early')).filter((line) => line.includes('"rail1"'));
      return failures.length >= 2 ? true : undefined; // each names its own sandbox
    });
    expect(await taken(kubernetes)).toEqual([]);
    await rename('away', 'rail1');
    await untilReady(kubernetes, ['early']);
    await removePods(kubernetes);
  });
});
