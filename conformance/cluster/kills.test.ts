/** A call is killed after each of its effects, on the node and on its way to the server: nothing is doubled, lost, or left. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { killAfterEach, killedAfter } from '../lab/steps.ts';
import { type Attachment, CallingNode, givenBy } from './calling-node.ts';
import { contentsOf, faultsIn } from './checker.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyCrds, applyRbac } from './manifests.ts';
import { serviceAccountToken } from './objects.ts';

const RANGES = ['10.7.0.0/24', '10.7.1.0/24'];
const FEWEST_EFFECTS = 5;
const LONGEST_SWEEPS = 60;
const OLD: Attachment = { id: 'old', pod: 'web-0', ifname: 'net1' };
const NEW: Attachment = { ...OLD, id: 'new' };

let cluster: Cluster;
let kubeconfig: string;

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('kills', { token, namespace: 'kube-system' });
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

async function expectNothing(node: CallingNode): Promise<void> {
  for (let sweeps = 1; ; sweeps++) {
    await node.sweep();
    const faults = faultsIn(await contentsOf(cluster), []);
    if (faults.length === 0 || sweeps === LONGEST_SWEEPS) {
      expect(faults).toEqual([]);
      return;
    }
    await sleep(250);
  }
}

const must = async (node: CallingNode, verb: string, attachment: Attachment) => {
  const outcome = await node.call(verb, attachment);
  expect(outcome, `${verb} ${attachment.id}`).toMatchObject({ exitCode: 0 });
  return outcome;
};

it.each([
  ['ADD', []],
  ['DEL', [OLD]],
] as const)('%s killed after each of its effects', { timeout: 1_200_000 }, async (verb, before) => {
  using node = new CallingNode(kubeconfig, RANGES);
  await killAfterEach(FEWEST_EFFECTS, {
    before: async () => {
      for (const attachment of before) {
        await must(node, 'ADD', attachment);
      }
    },
    call: async (last) => node.call(verb, OLD, { env: await killedAfter('whereabouts', node.folder, last) }),
    after: async () => {
      if (verb === 'ADD') {
        const given = givenBy(await must(node, 'ADD', NEW), NEW); // the pod's next container
        expect(faultsIn(await contentsOf(cluster), given).filter((fault) => !fault.startsWith('left'))).toEqual([]);
      }
      await must(node, 'DEL', OLD);
      await must(node, 'DEL', NEW);
      await expectNothing(node);
    },
  });
});
