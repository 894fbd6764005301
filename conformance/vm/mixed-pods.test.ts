/** Pods with networks of sriov, rdma, host-device and macvlan at once. */
import { describe, expect, it } from 'vitest';
import { IS_RESIDENT } from '../lab/resident.ts';
import { roundsOf, seeded } from '../lab/rounds.ts';
import { stateOf } from '../lab/state.ts';
import { ifNameOf, Storm } from '../storm/storm.ts';
import { MixedNode, type Network } from './mixed-node.ts';

const ROUNDS = roundsOf(20, 40);

/** Of a call, when it may be killed: agents are done sooner. */
const LONGEST_MS = IS_RESIDENT ? 2_000 : 8_000;

const SHAPES: readonly (readonly Network[])[] = [
  ['v0', 'd0', 'm0'],
  ['m0', 'v0', 'm1', 'd0', 'v1'],
  ['d0', 'm0', 'm1', 'v0'],
];

/** Some devices are wanted by several pods, so some ADDs must fail. */
const CROWD: readonly (readonly Network[])[] = [
  ['v0', 'm0'],
  ['m0', 'd0', 'v1'],
  ['d1', 'm1'],
  ['v2', 'd0', 'm2'],
  ['m0', 'v3'],
  ['m1', 'm2'],
  ['v0', 'v1'],
  ['d2', 'v2', 'm1'],
];

describe.each(SHAPES.map((networks) => ({ networks, title: networks.join(' ') })))('$title', ({ networks }) => {
  it('is added, checked, deleted and collected at the first try, and all is as before', async () => {
    await using node = await MixedNode.open({ vfs: 2, devices: 1 });
    const container = await node.container('c1', networks);
    const before = await node.everything();
    for (const [verb, calling] of [
      ['DEL', {}],
      ['GC', { more: { 'cni.dev/valid-attachments': [] }, netns: '' }],
    ] as const) {
      await node.must('ADD', container);
      const { links } = await stateOf(container.pod.name);
      const wanted = ['lo', ...networks.map((_, index) => ifNameOf(index))];
      expect(links.map(({ ifname }) => String(ifname)).sort()).toEqual(wanted.sort());
      await node.must('CHECK', container);
      await node.must(verb, container, calling);
      await node.expectAsBefore(before);
    }
    await node.must('DEL', container);
  });
});

describe('eight callers at once', () => {
  it(`${seeded(ROUNDS)}: lose no device and leave nothing`, { timeout: 3_000_000 }, async () => {
    await using node = await MixedNode.open({ vfs: 4, devices: 3 });
    const storm = await Storm.begin(node, CROWD, { longestMs: LONGEST_MS });
    const before = await node.everything();
    await storm.run(ROUNDS);
    for (const { container } of storm.tenants) {
      await node.must('DEL', container);
    }
    await node.expectAsBefore(before);
    console.log(`${seeded(ROUNDS)}: ${JSON.stringify(storm.count)}`);
    expect(storm.count).toMatchObject({ doubled: 0 });
    expect(storm.count.killed).toBeGreaterThan(0);
    expect(storm.count.attached).toBeGreaterThan(ROUNDS / 10);
  });
});
