/** The plugin is killed after each of its effects in turn, until a call comes to its end: see ../lab/steps.c. */
import { describe, expect, it } from 'vitest';
import { stepsOf, untilItEnds } from '../lab/steps.ts';
import { Node } from './node.ts';
import { SimulatedCard } from './simulated.ts';
import { ALL, type Call, linkIn, OK, SriovLab } from './sriov-lab.ts';
import { Vfs } from './vfs.ts';

const TIMEOUT_MS = 1_800_000;

/** Two pods, and a VF that gets everything. */
async function prepared(node: Node, vfs: Vfs) {
  const lab = new SriovLab(node, vfs);
  const conf = lab.conf(1, ALL);
  const [one, other] = [await node.pod('one'), await node.pod('other')];
  return { lab, pods: [one, other] as const, of: (pod: Call['pod']): Call => ({ conf, pod }) };
}

describe('sriov killed after every effect', () => {
  it(
    'of ADD leaves nothing after DEL, and the VF for another pod',
    async () => {
      await using node = Node.open();
      await using simulated = await SimulatedCard.open();
      await using vfs = await Vfs.make(2, simulated);
      const { lab, pods, of } = await prepared(node, vfs);
      const before = await lab.picture();
      await untilItEnds(15, async (after) => {
        const pod = pods[after % 2 === 0 ? 0 : 1];
        const outcome = await lab.call('ADD', { ...of(pod), killAfter: after });
        const what = `ADD killed after effect ${after}: ${stepsOf(outcome).at(-1)}`;
        expect(await lab.call('DEL', of(pod)), what).toMatchObject(OK);
        expect(await lab.picture(), what).toEqual(before);
        return outcome;
      });
      expect(await lab.call('ADD', of(pods[0]))).toMatchObject({ exitCode: 0 });
      expect(await lab.call('DEL', of(pods[0]))).toMatchObject(OK);
    },
    TIMEOUT_MS,
  );

  it(
    'of ADD, its pod gone without DEL, leaves the VF for another pod',
    async () => {
      await using node = Node.open();
      await using simulated = await SimulatedCard.open();
      await using vfs = await Vfs.make(2, simulated);
      const { lab, pods, of } = await prepared(node, vfs);
      const before = await lab.picture();
      await untilItEnds(15, async (after) => {
        const gone = await node.pod('gone');
        const outcome = await lab.call('ADD', { ...of(gone), killAfter: after });
        const what = `ADD killed after effect ${after}: ${stepsOf(outcome).at(-1)}`;
        await node.remove(gone);
        expect(await lab.call('ADD', of(pods[1])), what).toMatchObject({ exitCode: 0 });
        expect(await lab.call('DEL', of(gone)), what).toMatchObject(OK); // late, and no matter of the other pod
        expect(await linkIn(pods[1], 'net1'), what).toMatchObject({ parentdev: vfs.at(1).pci });
        expect(await lab.call('DEL', of(pods[1])), what).toMatchObject(OK);
        expect(await lab.picture(), what).toEqual(before);
        return outcome;
      });
    },
    TIMEOUT_MS,
  );

  it(
    'of DEL leaves nothing after another DEL, and the VF for another pod',
    async () => {
      await using node = Node.open();
      await using simulated = await SimulatedCard.open();
      await using vfs = await Vfs.make(2, simulated);
      const { lab, pods, of } = await prepared(node, vfs);
      const before = await lab.picture();
      await untilItEnds(8, async (after) => {
        const pod = pods[after % 2 === 0 ? 0 : 1];
        expect(await lab.call('ADD', of(pod)), `before effect ${after}`).toMatchObject({ exitCode: 0 });
        const outcome = await lab.call('DEL', { ...of(pod), killAfter: after });
        const what = `DEL killed after effect ${after}: ${stepsOf(outcome).at(-1)}`;
        expect(await lab.call('DEL', of(pod)), what).toMatchObject(OK);
        expect(await lab.picture(), what).toEqual(before);
        return outcome;
      });
    },
    TIMEOUT_MS,
  );

  it('of ADD is repaired by an ADD of the same container', async () => {
    await using node = Node.open();
    await using simulated = await SimulatedCard.open();
    await using vfs = await Vfs.make(2, simulated);
    const { lab, pods, of } = await prepared(node, vfs);
    const before = await lab.picture();
    let after = 0;
    do {
      await lab.call('DEL', of(pods[0]));
      expect(await lab.call('ADD', { ...of(pods[0]), killAfter: ++after })).toMatchObject({ signal: 'SIGKILL' });
    } while ((await linkIn(pods[0], 'net1')) === undefined);
    expect(await lab.call('ADD', of(pods[0]))).toMatchObject({ exitCode: 0 });
    expect(await lab.call('DEL', of(pods[0]))).toMatchObject(OK);
    expect(await lab.picture()).toEqual(before);
  }, 600_000);
});
