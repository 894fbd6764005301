/** Plugins killed in the middle, and replaced while they are called. */
import { chmodSync, copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { PLUGINS, STANDALONE } from '../programs.ts';
import { macvlan, makeRails, multus } from './networks.ts';
import { RUNTIMES, Site } from './site.ts';
import { Tap } from './tap.ts';

const RAILS = 3;

/** Milliseconds of a call's life: from before it does anything until after its end. */
const INSTANTS = Array.from({ length: 12 }, (_, index) => 8 + 5 * index);

async function siteWith(programs: (typeof RUNTIMES)[number], plugin: string) {
  const site = await Site.open(programs);
  await makeRails(site, RAILS);
  const tap = Tap.into(site, plugin);
  await site.configure([plugin === 'macvlan' ? macvlan() : multus(site, RAILS)]);
  return { site, tap, [Symbol.asyncDispose]: () => site[Symbol.asyncDispose]() };
}

describe.each(RUNTIMES)('$name', (programs) => {
  it.each(['macvlan', 'multus'])('%s killed during ADD: the DEL that follows leaves nothing', async (plugin) => {
    await using lab = await siteWith(programs, plugin);
    const { site, tap } = lab;
    await site.leavesNothing(async () => {
      let killed = 0;
      for (const ms of INSTANTS) {
        tap.kill('ADD', ms);
        const pod = await site.run({ name: `pod-${ms}` }).catch(() => undefined);
        if (pod === undefined) {
          killed++;
          expect(site.reservations()).toEqual([]);
        }
        await site.removeAll();
      }
      expect(killed).toBeGreaterThan(2);
    });
  });

  it.each(['macvlan', 'multus'])('%s killed during DEL: the next Stop leaves nothing', async (plugin) => {
    await using lab = await siteWith(programs, plugin);
    const { site, tap } = lab;
    await site.leavesNothing(async () => {
      let killed = 0;
      for (const ms of INSTANTS) {
        const pod = await site.run({ name: `pod-${ms}` });
        tap.kill('DEL', ms);
        await site.cri.stop(pod.id).catch(() => killed++);
        tap.kill('DEL', undefined);
        await site.cri.stop(pod.id);
        expect(site.reservations()).toEqual([]);
        await site.cri.remove(pod.id);
      }
      expect(killed).toBeGreaterThan(2);
    });
  });

  it('plugins replaced while pods start and stop: every call finds a whole program', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, RAILS);
    await site.configure([multus(site, RAILS)]);
    await site.leavesNothing(async () => {
      let isDone = false;
      const replace = async (): Promise<number> => {
        let rounds = 0;
        for (; !isDone; rounds++) {
          for (const name of PLUGINS) {
            const part = join(site.bin, `.${name}`);
            copyFileSync(join(STANDALONE, name), part);
            chmodSync(part, 0o755);
            renameSync(part, join(site.bin, name));
            await nextTurn();
          }
        }
        return rounds;
      };
      const replacing = replace();
      const pods = await Promise.all(Array.from({ length: 10 }, (_, index) => site.run({ name: `pod-${index}` })));
      await Promise.all(pods.map((pod) => site.remove(pod)));
      isDone = true;
      expect(await replacing).toBeGreaterThan(0);
    });
  });
});
