/** Many callers at once on one node, some of them killed: nothing is doubled, nothing is lost, nothing is left. */
import { describe, expect, it } from 'vitest';
import { roundsOf, seeded } from '../lab/rounds.ts';
import { Storm } from './storm.ts';
import { type Network, StormNode } from './storm-node.ts';

const ROUNDS = roundsOf(250, 1000);
const DEVICES = 6;

/** Some devices are wanted by several pods, so some ADDs must fail. */
const SHAPES: readonly (readonly Network[])[] = [
  ['m0', 'd0', 'm1'],
  ['m1', 'm0'],
  ['d1', 'm1', 'm2', 'd2'],
  ['m2', 'm0', 'd3'],
  ['d4', 'm0', 'd5'],
  ['m0', 'm1', 'm2', 'm3'],
  ['d3', 'm1'],
  ['m3', 'd0', 'm2'],
];

describe('eight callers at once', () => {
  it(`${seeded(ROUNDS)}: double no address, lose no device and leave nothing`, { timeout: 3_600_000 }, async () => {
    await using node = await StormNode.open(DEVICES);
    const storm = await Storm.begin(node, SHAPES);
    const before = await node.everything();
    await storm.run(ROUNDS);
    for (const { container } of storm.tenants) {
      await node.must('DEL', container);
    }
    await node.expectAsBefore(before);
    console.log(`${seeded(ROUNDS)}: ${JSON.stringify(storm.count)}`);
    expect(storm.count).toMatchObject({ doubled: 0 });
    expect(storm.count.killed).toBeGreaterThan(ROUNDS / 50);
    expect(storm.count.attached).toBeGreaterThan(ROUNDS / 10);
  });
});
