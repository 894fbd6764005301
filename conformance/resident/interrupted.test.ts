/** A change of form that is killed after each of its effects, and one on a disk that gets full at each of them. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BASE_ENV, type Env, execute, type Outcome } from '../lab/execute.ts';
import { faulty } from '../lab/faults.ts';
import { Lab } from '../lab/lab.ts';
import { STANDALONE } from '../lab/programs.ts';
import { filesIn } from '../lab/state.ts';
import { killAfterEach, killedAfter } from '../lab/steps.ts';
import { Folder, type Form } from './folder.ts';

const OK = { exitCode: 0 };
const PATIENCE_MS = 1_800_000;

/** One plugin, which asks nobody. */
const OPTIONS: Readonly<Record<string, string>> = {
  standalone: '--form standalone --plugins static',
  resident: '--form resident --on-demand --plugins static',
};

/** A call that a launcher takes to the program beside it. */
const call = ({ bin }: Folder): Promise<Outcome> =>
  execute([join(bin, 'static')], {
    env: { ...BASE_ENV, CNI_COMMAND: 'STATUS', CNI_PATH: bin, BRAID_AGENT: '/nowhere/agent.sock' },
    stdin: JSON.stringify({ cniVersion: '1.1.0', name: 'n', type: 'static', ipam: { type: 'static' } }),
  });

const change = (folder: Folder, to: Form, env: Env): Promise<Outcome> =>
  execute([join(STANDALONE, 'braid'), 'install', '--bin', folder.bin, ...(OPTIONS[to] ?? '').split(' ')], {
    env: { ...BASE_ENV, ...env },
  });

async function demandComplete(folder: Folder, form: Form): Promise<void> {
  expect(await change(folder, form, {})).toMatchObject(OK);
  const names = form === 'resident' ? ['.braid', '.braid.json'] : ['.braid.json'];
  expect(readdirSync(folder.bin)).toEqual([...names, 'braid', 'static']);
  expect(await call(folder)).toMatchObject(OK);
}

const CHANGES = [
  ['standalone', 'resident'],
  ['resident', 'standalone'],
] as const;

describe.each(CHANGES)('a change from %s to %s', (from, to) => {
  it(
    'may be killed after each of its effects: calls are served, and the next install completes it',
    async () => {
      await using lab = await Lab.open();
      const folder = new Folder(lab);
      await killAfterEach(8, {
        before: () => demandComplete(folder, from),
        call: async (last) => change(folder, to, await killedAfter('braid', lab.dir, last)),
        after: async (last) => {
          expect(await call(folder)).toMatchObject(OK);
          if (last % 3 === 0) {
            await demandComplete(folder, to);
          }
        },
      });
      expect(await folder.uninstall()).toMatchObject(OK);
      expect(filesIn(folder.bin)).toEqual({});
    },
    PATIENCE_MS,
  );

  it(
    'fails in one sentence when the disk gets full at any of them, and completes when it has room',
    async () => {
      await using lab = await Lab.open();
      const folder = new Folder(lab);
      const libraries = mkdtempSync(join(lab.dir, 'faults-'));
      await demandComplete(folder, from);
      const below = { of: 'braid', below: folder.bin };
      for (let number = 1; ; number++) {
        await demandComplete(folder, from);
        const full = await faulty(libraries, { ...below, from: number, error: 'ENOSPC' });
        const outcome = await change(folder, to, full);
        expect(await call(folder)).toMatchObject(OK);
        if (outcome.exitCode === 0) {
          expect(number).toBeGreaterThan(5);
          break;
        }
        const said = outcome.stderr.split('\n').filter((line) => line !== '' && !/^effect \d+$/.test(line));
        expect(said, outcome.stderr).toEqual([expect.stringMatching(/^braid: cannot .*ENOSPC/)]);
      }
      await demandComplete(folder, to);
    },
    PATIENCE_MS,
  );
});
