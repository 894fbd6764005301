/** braid install and uninstall: on a real folder, while plugins of it run. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BASE_ENV, execute, type Outcome } from '../lab/execute.ts';
import { DIST, PLUGINS, SCRIPT, STANDALONE } from '../lab/programs.ts';
import { filesIn } from '../lab/state.ts';
import { BraidNode } from './lab.ts';

const FOREIGN = '#!/bin/sh\necho \'{"cniVersion":"1.1.0","supportedVersions":["0.4.0"]}\'\n';
const OURS = [...PLUGINS, 'braid'].sort();
const DONE = { exitCode: 0, stderr: '' };
/** 20 programs at once on a small machine */
const PATIENCE_MS = 600_000;
const FORMS = ['standalone', 'script'] as const;

const onNode = (test: (node: BraidNode) => Promise<void>) => async () => {
  await using node = await BraidNode.open();
  await test(node);
};

/** A folder as a distribution leaves it: plugins of others. */
function fill(bin: string): void {
  mkdirSync(bin, { recursive: true });
  for (const name of ['bridge', 'macvlan']) {
    writeFileSync(join(bin, name), FOREIGN, { mode: 0o755 });
  }
}

const VERSION = { ...BASE_ENV, CNI_COMMAND: 'VERSION' };
const version = (path: string): Promise<Outcome> => execute([path], { env: VERSION });

const visible = (bin: string): readonly string[] => readdirSync(bin).filter((name) => !name.startsWith('.'));

describe.each(FORMS)('braid install, %s form', (form) => {
  it(
    'puts in the very file that was built, under all names, and uninstall takes it out',
    onNode(async (node) => {
      expect(await node.braid(`install --bin ${node.bin}`, form)).toMatchObject(DONE);
      expect(visible(node.bin)).toEqual(OURS);
      const built = readFileSync(join(form === 'script' ? SCRIPT : STANDALONE, 'braid'));
      for (const name of OURS) {
        expect(readFileSync(join(node.bin, name)).equals(built)).toBe(true);
        expect(lstatSync(join(node.bin, name)).mode & 0o777).toBe(0o755);
      }
      expect(JSON.parse((await version(join(node.bin, 'macvlan'))).stdout)).toMatchObject({ cniVersion: '1.1.0' });
      expect(await node.about(`uninstall --bin ${node.bin}`)).toMatchObject(DONE);
      expect(filesIn(node.bin)).toEqual({});
    }),
  );

  it(
    'fails in one sentence where no folder can be made',
    onNode(async (node) => {
      expect(await node.braid('install --bin /proc/x/bin', form)).toEqual({
        exitCode: 1,
        signal: undefined,
        stdout: '',
        stderr: 'braid: cannot create folder "/proc/x": ENOENT (no such file or directory)\n',
      });
    }),
  );

  it(
    'changes nothing the second time, and says so',
    onNode(async (node) => {
      await node.braid(`install --bin ${node.bin}`, form);
      const facts = () =>
        readdirSync(node.bin).map((name) => {
          const { ino, ctimeNs } = lstatSync(join(node.bin, name), { bigint: true });
          return [name, ino, ctimeNs];
        });
      const before = facts();
      const again = await node.braid(`install --bin ${node.bin}`, form);
      expect(again).toMatchObject({ ...DONE, stdout: expect.stringContaining('nothing to do') });
      expect(facts()).toEqual(before);
    }),
  );

  it(
    'never shows a busy or half file to those who run the plugins meanwhile',
    onNode(async (node) => {
      await node.braid(`install --bin ${node.bin}`, form);
      const failures: string[] = [];
      let isOver = false;
      let runs = 0;
      const loop = async (_: unknown, index: number): Promise<void> => {
        const path = join(node.bin, PLUGINS[index % PLUGINS.length] ?? '');
        while (!isOver) {
          const { exitCode, stdout, stderr } = await execute(['nice', '-n', '19', path], { env: VERSION });
          runs++;
          if (exitCode !== 0 || !stdout.includes('supportedVersions')) {
            failures.push(`${path}: exit ${exitCode}: ${stdout}${stderr}`);
          }
        }
      };
      const loops = Array.from({ length: 20 }, (_, index) =>
        loop(_, index).catch((error) => failures.push(`${error}`)),
      );
      try {
        for (let round = 0; round < 3 || runs < 60; round++) {
          await execute(['chmod', '700', join(node.bin, 'macvlan')]); // all names are this file, and must be replaced
          const again = await node.braid(`install --bin ${node.bin}`, form);
          expect(again).toMatchObject({ ...DONE, stdout: expect.stringMatching(/macvlan +updated/) });
        }
      } finally {
        isOver = true;
        await Promise.all(loops);
      }
      expect(failures).toEqual([]);
    }),
    PATIENCE_MS,
  );
});

describe('braid install', () => {
  it(
    'refuses a plugin of somebody else before anything is changed; --replace keeps it, uninstall puts it back',
    onNode(async (node) => {
      fill(node.bin);
      const before = filesIn(node.bin);
      const refused = await node.braid(`install --bin ${node.bin}`);
      expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('"macvlan" there is not ours') });
      expect(filesIn(node.bin)).toEqual(before);

      expect(await node.braid(`install --bin ${node.bin} --replace`)).toMatchObject(DONE);
      expect(readFileSync(join(node.bin, 'macvlan.before-braid'), 'utf8')).toBe(FOREIGN);
      expect(readFileSync(join(node.bin, 'bridge'), 'utf8')).toBe(FOREIGN);
      expect((await version(join(node.bin, 'macvlan'))).stdout).toContain('1.0.0');
      expect(await node.braid(`install --bin ${node.bin} --form script`)).toMatchObject(DONE); // an update keeps it too

      const own = await node.run(join(node.bin, 'braid'), `uninstall --bin ${node.bin} --cache-dir ${node.cacheDir}`);
      expect(own).toMatchObject({ ...DONE, stdout: expect.stringContaining('the plugin it replaced restored') });
      expect(filesIn(node.bin)).toEqual(before);
      expect((await node.about(`uninstall --bin ${node.bin}`)).stdout).toContain('nothing to do');
    }),
  );

  it(
    'leaves what somebody else has put over a plugin of ours',
    onNode(async (node) => {
      await node.braid(`install --bin ${node.bin}`);
      // by rename, as packages do
      writeFileSync(join(node.bin, 'new'), FOREIGN, { mode: 0o755 });
      await execute(['mv', join(node.bin, 'new'), join(node.bin, 'multus')]);
      expect(await node.about(`uninstall --bin ${node.bin}`)).toMatchObject({
        ...DONE,
        stdout: expect.stringMatching(/multus +left/),
      });
      expect(filesIn(node.bin)).toEqual({ multus: `755 ${FOREIGN}` });
    }),
  );

  it(
    'installs a part of the plugins, with itself',
    onNode(async (node) => {
      const outcome = await node.braid(`install --bin ${node.bin} --plugins macvlan --json`);
      expect(JSON.parse(outcome.stdout)).toMatchObject({
        files: [
          { name: 'macvlan', deed: 'install' },
          { name: 'braid', deed: 'install' },
        ],
      });
      expect(visible(node.bin)).toEqual(['braid', 'macvlan']);
      await node.braid(`install --bin ${node.bin}`);
      expect(lstatSync(join(node.bin, 'multus')).ino).toBe(lstatSync(join(node.bin, 'macvlan')).ino);
      expect((await node.braid(`install --bin ${node.bin} --plugins flannel`)).exitCode).toBe(2);
    }),
  );

  it(
    'does not install what was changed after it was built',
    onNode(async (node) => {
      const dist = join(node.lab.dir, 'dist');
      mkdirSync(join(dist, 'script'), { recursive: true });
      cpSync(join(DIST, 'package.json'), join(dist, 'package.json'));
      copyFileSync(join(SCRIPT, 'braid'), join(dist, 'script/braid'));
      const install = () => node.run(join(dist, 'script/braid'), `install --bin ${node.bin}`);
      expect((await install()).stdout).toContain('has the mark of build');
      copyFileSync(join(DIST, 'SHA256SUMS'), join(dist, 'SHA256SUMS'));
      await node.about(`uninstall --bin ${node.bin}`);
      expect((await install()).stdout).toContain('matches SHA256SUMS');
      await node.about(`uninstall --bin ${node.bin}`);
      const text = readFileSync(join(dist, 'script/braid'), 'latin1');
      writeFileSync(join(dist, 'script/braid'), text.replace('many networks', 'MANY networks'), 'latin1');
      expect(await install()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('checksum') });
      expect(existsSync(join(node.bin, 'macvlan'))).toBe(false);
    }),
  );

  it(
    'can be killed at any moment: uninstall then finds all of it, and the next install completes it',
    onNode(async (node) => {
      fill(node.bin);
      const before = filesIn(node.bin);
      const installing = `install --bin ${node.bin} --replace`;
      for (const [round, killAfterMs] of [60, 120, 180, 240, 320, 400].entries()) {
        await execute([join(STANDALONE, 'braid'), ...installing.split(' ')], { killAfterMs });
        if (round % 2 === 1) {
          expect(await node.braid(`${installing} --form script`)).toMatchObject(DONE);
        }
        expect((await version(join(node.bin, 'macvlan'))).exitCode).toBe(0);
        expect(await node.about(`uninstall --bin ${node.bin}`)).toMatchObject(DONE);
        expect(Object.keys(filesIn(node.bin)).filter((name) => !name.endsWith('.braid-new'))).toEqual(
          Object.keys(before),
        );
        expect(readFileSync(join(node.bin, 'macvlan'), 'utf8')).toBe(FOREIGN);
      }
    }),
  );
});
