/** Plugins killed in the middle, and replaced while they are called. */
import { linkSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PLUGINS, STANDALONE } from '../lab/programs.ts';
import { IS_RESIDENT } from '../lab/resident.ts';
import { macvlan, makeRails, multus, whereabouts } from './networks.ts';
import { RUNTIMES, Site } from './site.ts';
import { Tap } from './tap.ts';

const RAILS = 3;

const CONFS = {
  macvlan: () => macvlan(),
  multus: (site: Site) => multus(site, RAILS),
  'host-device': () => ({ type: 'host-device', device: 'rail0', ipam: whereabouts() }),
} as const;

const PLUGINS_TO_KILL = ['macvlan', 'multus', 'host-device'] as const;

/** Milliseconds of a call's life: from before it does anything until after its end. An agent is done sooner. */
const INSTANTS = Array.from({ length: 8 }, (_, index) => (IS_RESIDENT ? 1 + index : 8 + 7 * index));

/** The same program, but its plugins take those of this build for foreign ones and execute them. */
function anotherBuild(site: Site): string {
  const path = join(site.lab.dir, 'another-build');
  const bytes = readFileSync(join(STANDALONE, 'multus'));
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  writeFileSync(path, bytes, { mode: 0o755 });
  return path;
}

async function siteWith(programs: (typeof RUNTIMES)[number], plugin: keyof typeof CONFS) {
  const site = await Site.open(programs);
  await makeRails(site, RAILS);
  const tap = Tap.into(site, plugin);
  await site.configure([CONFS[plugin](site)]);
  return { site, tap, [Symbol.asyncDispose]: () => site[Symbol.asyncDispose]() };
}

describe.each(RUNTIMES)('$name', (programs) => {
  it.each(PLUGINS_TO_KILL)('%s killed during ADD: the DEL that follows leaves nothing', async (plugin) => {
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

  it.each(PLUGINS_TO_KILL)('%s killed during DEL: the next Stop leaves nothing', async (plugin) => {
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

  it('plugins of two builds installed in turn while pods start and stop: every call finds a whole program', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, RAILS);
    await site.configure([multus(site, RAILS)]);
    const other = anotherBuild(site);
    await site.leavesNothing(async () => {
      let isDone = false;
      const install = async (): Promise<void> => {
        for (let rounds = 0; !isDone || rounds < 1; rounds++) {
          for (const name of PLUGINS) {
            const part = join(site.bin, `.${name}`);
            linkSync(other, part);
            renameSync(part, join(site.bin, name));
          }
          const words = ['install', '--bin', site.bin, '--replace'];
          expect(await site.node.execute([join(STANDALONE, 'braid'), ...words])).toMatchObject({ exitCode: 0 });
        }
      };
      const startAndStop = async (): Promise<void> => {
        try {
          const pods = await Promise.all(Array.from({ length: 10 }, (_, index) => site.run({ name: `pod-${index}` })));
          await Promise.all(pods.map((pod) => site.remove(pod)));
        } finally {
          isDone = true;
        }
      };
      await Promise.all([install(), startAndStop()]);
    });
  });
});
