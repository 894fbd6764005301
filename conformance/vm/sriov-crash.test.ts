/** The plugin is killed after each of its effects in turn, until a call comes to its end: see ../lab/steps.c. */
import { describe, expect, it } from 'vitest';
import type { Pod } from '../lab/lab.ts';
import { killAfterEach } from '../lab/steps.ts';
import { Node } from './node.ts';
import { SimulatedCard } from './simulated.ts';
import { ALL, linkIn, OK, SriovLab } from './sriov-lab.ts';
import { Vfs } from './vfs.ts';

/** A VF that gets everything, two pods that want it, and how all is while neither has it. */
async function prepared() {
  await using opened = new AsyncDisposableStack();
  const node = opened.use(Node.open());
  const vfs = opened.use(await Vfs.make(2, opened.use(await SimulatedCard.open())));
  const lab = new SriovLab(node, vfs);
  const conf = lab.conf(1, ALL);
  const pods = [await node.pod('one'), await node.pod('other')] as const;
  const before = await lab.picture();
  const all = opened.move();
  return {
    node,
    pci: vfs.at(1).pci,
    pods,
    podOf: (round: number) => pods[round % 2 === 0 ? 0 : 1],
    call: (verb: string, pod: Pod, killAfter?: number) =>
      lab.call(verb, { conf, pod, ...(killAfter === undefined ? {} : { killAfter }) }),
    expectAsBefore: async () => expect(await lab.picture()).toEqual(before),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

describe('sriov killed after every effect', { tags: 'sriov/undo', timeout: 1_800_000 }, () => {
  it('of ADD leaves nothing after DEL, and the VF for another pod', async () => {
    await using card = await prepared();
    await killAfterEach(15, {
      call: (last) => card.call('ADD', card.podOf(last), last),
      after: async (last) => {
        expect(await card.call('DEL', card.podOf(last))).toMatchObject(OK);
        await card.expectAsBefore();
      },
    });
    expect(await card.call('ADD', card.pods[0])).toMatchObject({ exitCode: 0 });
    expect(await card.call('DEL', card.pods[0])).toMatchObject(OK);
  });

  it('of ADD, its pod gone without DEL, leaves the VF for another pod', async () => {
    await using card = await prepared();
    const [, next] = card.pods;
    let gone = next;
    await killAfterEach(15, {
      before: async () => {
        gone = await card.node.pod('gone');
      },
      call: (last) => card.call('ADD', gone, last),
      after: async () => {
        await card.node.remove(gone);
        expect(await card.call('ADD', next)).toMatchObject({ exitCode: 0 });
        expect(await card.call('DEL', gone)).toMatchObject(OK); // late, and no matter of the other pod
        expect(await linkIn(next, 'net1')).toMatchObject({ parentdev: card.pci });
        expect(await card.call('DEL', next)).toMatchObject(OK);
        await card.expectAsBefore();
      },
    });
  });

  it('of DEL leaves nothing after another DEL, and the VF for another pod', async () => {
    await using card = await prepared();
    await killAfterEach(8, {
      before: async (last) => expect(await card.call('ADD', card.podOf(last))).toMatchObject({ exitCode: 0 }),
      call: (last) => card.call('DEL', card.podOf(last), last),
      after: async (last) => {
        expect(await card.call('DEL', card.podOf(last))).toMatchObject(OK);
        await card.expectAsBefore();
      },
    });
  });

  it('of ADD is repaired by an ADD of the same container', async () => {
    await using card = await prepared();
    const [pod] = card.pods;
    let after = 0;
    do {
      await card.call('DEL', pod);
      expect(await card.call('ADD', pod, ++after)).toMatchObject({ signal: 'SIGKILL' });
    } while ((await linkIn(pod, 'net1')) === undefined);
    expect(await card.call('ADD', pod)).toMatchObject({ exitCode: 0 });
    expect(await card.call('DEL', pod)).toMatchObject(OK);
    await card.expectAsBefore();
  });
});
