/** tuning is killed after each of its effects in turn, until a call comes to its end: what an interface had is never lost. */
import { describe, expect, it } from 'vitest';
import { killAfterEach, killedAfter } from '../../lab/steps.ts';
import { CHANGES, SYSCTLS, TUNED, Tuned } from './lab.ts';

/** The verb is killed after each of its effects; what follows leaves the interface as it was, and no record. */
async function killed(verb: 'ADD' | 'DEL', follow: (one: Tuned) => Promise<unknown>): Promise<void> {
  await using one = await Tuned.open();
  const before = await one.looks();
  const conf = one.conf({ ...CHANGES, sysctl: SYSCTLS });
  await killAfterEach(verb === 'ADD' ? 7 : 2, {
    before: async () => verb === 'DEL' && one.succeed('ADD', { conf }),
    call: async (last) => one.call(verb, { conf, env: await killedAfter('tuning', one.lab.dir, last) }),
    after: async () => {
      await follow(one);
      expect(await one.looks()).toEqual(before);
      expect(one.records().filter((name) => !name.startsWith('.'))).toEqual([]);
    },
  });
  expect(one.records()).toEqual([]);
}

describe.concurrent('tuning killed after every effect', { timeout: 600_000 }, () => {
  it('of ADD: after DEL the interface is as it was', { tags: 'tuning/record-first' }, () =>
    killed('ADD', (one) => one.succeed('DEL')),
  );

  it('of ADD: another ADD does it, and DEL still knows what was there first', () =>
    killed('ADD', async (one) => {
      await one.succeed('ADD', { conf: one.conf({ ...CHANGES, sysctl: SYSCTLS }) });
      expect(await one.looks()).toEqual(TUNED);
      await one.succeed('DEL');
    }));

  it('of DEL: after another DEL the interface is as it was', () => killed('DEL', (one) => one.succeed('DEL')));
});
