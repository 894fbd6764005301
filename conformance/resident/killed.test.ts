/** The agent is killed after each effect of each verb: its caller may try again, and what follows repairs everything. */
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../lab/execute.ts';
import { killAfterEach, killedAfter, stepsOf } from '../lab/steps.ts';
import { type Container, type Network, StormNode } from '../storm/storm-node.ts';

const PATIENCE_MS = 1_800_000;

/** Links of both kinds: one that is made, and one that is moved. */
const NETWORKS: readonly Network[] = ['m0', 'd0', 'm1'];

const OTHERS = { 'cni.dev/valid-attachments': [{ containerID: 'other', ifname: 'eth0' }] };

interface Verb {
  readonly verb: string;
  /** whether the pod has its networks before */
  readonly isAttached: boolean;
  /** it has so many effects at least */
  readonly effects: number;
  /** more of multus's document */
  readonly more?: object;
}

const VERBS: readonly Verb[] = [
  { verb: 'ADD', isAttached: false, effects: 25 },
  { verb: 'ADD', isAttached: true, effects: 0 }, // it is refused
  { verb: 'CHECK', isAttached: true, effects: 0 },
  { verb: 'DEL', isAttached: true, effects: 15 },
  { verb: 'GC', isAttached: true, effects: 15, more: OTHERS },
  { verb: 'STATUS', isAttached: true, effects: 0 },
];

/** The verb is called again and again, each time with an agent that lives for one effect more. */
async function killEach(node: StormNode, one: Container, { verb, isAttached, effects, more = {} }: Verb) {
  const call = async (last: number): Promise<Outcome> => {
    const outcome = await node.call(verb, one, {
      env: await killedAfter('braid', node.dir, last),
      more,
      ...(['GC', 'STATUS'].includes(verb) ? { netns: '' } : {}),
    });
    return isAttached && verb === 'ADD' && outcome.exitCode === 1 ? { ...outcome, exitCode: 0 } : outcome;
  };
  const clean = await node.everything();
  await killAfterEach(effects, {
    before: async () => isAttached && node.must('ADD', one),
    call,
    after: async (last) => {
      if (verb === 'ADD' && !isAttached && last % 4 === 0) {
        await node.call('ADD', one); // refused or not, it must not make it worse
      }
      await node.must('DEL', one);
      await node.expectAsBefore(clean);
      if (last % 8 === 0) {
        await node.must('ADD', one);
        await node.must('CHECK', one);
        expect(new Set(await node.taken()).size).toBe(NETWORKS.length);
        await node.must('DEL', one);
        await node.expectAsBefore(clean);
      }
    },
  });
}

describe('an agent that is killed after each effect', () => {
  it.each(VERBS)(
    'of $verb, of a pod that is attached: $isAttached: the next calls repair it',
    {
      timeout: PATIENCE_MS,
    },
    async (verb) => {
      await using node = await StormNode.open(1, { isResident: true });
      await killEach(node, await node.container('c1', NETWORKS), verb);
    },
  );

  it('has its steps counted from its first caller on', async () => {
    await using node = await StormNode.open(1, { isResident: true });
    const one = await node.container('c1', NETWORKS);
    const outcome = await node.call('ADD', one, {
      env: await killedAfter('braid', node.dir, Number.POSITIVE_INFINITY),
    });
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(stepsOf(outcome).filter((step) => step.includes('.sock'))).toEqual([]);
    await node.must('DEL', one);
  });
});
