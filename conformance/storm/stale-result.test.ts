/** A result outlives its attachment when a DEL is killed: it must not hide what the next ADD leaves. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { killAfterEach, killedAfter } from '../lab/steps.ts';
import { interfacesIn, StormNode } from './storm-node.ts';

it('DEL after a killed ADD leaves nothing, whatever an earlier DEL has left', async () => {
  await using node = await StormNode.open(1);
  const container = await node.container('c1', ['m0', 'd0', 'm1']);
  const before = await node.everything();
  const [results, kept] = [join(node.cniDir, 'results'), join(node.dir, 'kept')];
  await node.must('ADD', container);
  cpSync(results, kept, { recursive: true });
  await node.must('DEL', container);
  await killAfterEach(10, {
    before: async () => cpSync(kept, results, { recursive: true }),
    call: async (last) => node.call('ADD', container, { env: await killedAfter('multus', node.dir, last) }),
    after: async () => {
      await node.must('DEL', container);
      expect(await interfacesIn(container.pod)).toEqual(['lo']);
      await node.expectAsBefore(before);
    },
  });
});
