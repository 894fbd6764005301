/** Several ADDs of one pod at once, which runtimes should not send: one of them wins, and the pod is whole. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fake } from '../lab/fakes.ts';
import { errorOf } from '../lab/printed.ts';
import { roundsOf, seeded } from '../lab/rounds.ts';
import { LOST, OK } from './storm.ts';
import { interfacesIn, type Network, StormNode } from './storm-node.ts';

const ROUNDS = roundsOf(10, 25);
const REFUSALS = [11, 999];
const WHY = /already exists|another call|a pod may have it|EEXIST/;
const SHAPES: readonly (readonly Network[])[] = [
  ['m0', 'm1'],
  ['m0', 'd0', 'm1'],
  ['d0', 'm0'],
];

describe.concurrent.each(SHAPES.map((networks) => ({ networks, title: networks.join(' ') })))(
  '$title',
  ({ networks }) => {
    it.each([2, 3])(
      `is added %d times at once: one succeeds and stays whole, ${seeded(ROUNDS)}`,
      async (times) => {
        await using node = await StormNode.open(1);
        const container = await node.container('c1', networks);
        const before = await node.everything();
        for (let round = 0; round < ROUNDS; round++) {
          const outcomes = await Promise.all(Array.from({ length: times }, () => node.call('ADD', container)));
          const [losers, winners] = [0, 1].map((won) =>
            outcomes.filter(({ exitCode }) => Number(exitCode === 0) === won),
          );
          expect(winners, JSON.stringify(outcomes)).toHaveLength(1);
          for (const loser of losers ?? []) {
            const { code, message } = errorOf(loser);
            expect(REFUSALS).toContain(code);
            expect(message).toMatch(WHY);
            expect(loser.stderr).not.toMatch(LOST);
          }
          expect(existsSync(join(node.cniDir, 'c1'))).toBe(true);
          expect(await interfacesIn(container.pod)).toHaveLength(networks.length + 1);
          expect(await node.taken()).toHaveLength(networks.length);
          await node.must('CHECK', container);
          await node.must('DEL', container);
          await node.expectAsBefore(before);
        }
      },
      1_200_000,
    );
  },
);

describe('an ADD that waits in its first network while another ADD of the same pod runs', () => {
  it('takes nothing of what the other has, or keeps the other out', async () => {
    await using node = await StormNode.open(0);
    const container = await node.container('c1', ['m0']);
    // the first of them waits for the second, but not for ever: there may be a lock that keeps it out
    const waits = 'for _ in $(seq 50); do [ -e "$PWD/second" ] && break; sleep 0.1; done';
    const answered = `echo '{"cniVersion":"1.1.0"}'`;
    fake(
      node.lab,
      'slow',
      `[ "$CNI_COMMAND" = ADD ] || exit 0\nif mkdir "$PWD/first"; then ${waits}; fi 2>/dev/null\n${answered}`,
    );
    const slow = { cniVersion: '1.1.0', name: 'slow', type: 'slow' };
    const more = { more: { delegates: [slow, node.macvlan(0)] } };
    const before = await node.everything();
    const first = node.call('ADD', container, more);
    while (!existsSync(join(node.lab.dir, 'first'))) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const second = await node.call('ADD', container, more);
    fake(node.lab, '../second', '');
    const outcomes = [await first, second];
    expect(
      outcomes.filter(({ exitCode }) => exitCode === 0),
      JSON.stringify(outcomes),
    ).toHaveLength(1);
    expect(existsSync(join(node.cniDir, 'c1'))).toBe(true);
    expect(await interfacesIn(container.pod)).toEqual(['lo', 'net1']);
    expect(await node.taken()).toHaveLength(1);
    expect(await node.call('DEL', container, more)).toMatchObject(OK);
    await node.expectAsBefore(before);
  });
});
