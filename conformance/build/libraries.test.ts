/** What the standalone program needs of a node, and who reports it as missing. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BraidNode } from '../braid/lab.ts';
import { mustRun } from '../lab/execute.ts';
import { DIST, ROOT, SCRIPT, STANDALONE } from '../lab/programs.ts';

const program = join(STANDALONE, 'braid');

/** A library that no node has, in a name as long. */
const ABSENT = 'libatomiX.so.1';

/** The same program, but for the name of a library that it needs. */
function withoutLibrary(): Buffer {
  const bytes = readFileSync(program);
  const place = bytes.indexOf('\0libatomic.so.1\0');
  expect(place).toBeGreaterThan(0);
  bytes.write(ABSENT, place + 1);
  return bytes;
}

/** `2.28` before `2.4`, as numbers. */
const newest = (versions: readonly string[]): string =>
  versions.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1) ?? '';

describe('the standalone program', () => {
  it('needs what README says, and nothing else', async () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const needed = (await mustRun(['readelf', '-dW', program])).matchAll(/\(NEEDED\).*\[(.+)\]/g);
    const ofGlibc = /^(ld-linux.*|lib(c|m|dl|pthread)\.so\.\d)$/;
    const beside = [...needed].map(([, name = '']) => name).filter((name) => !ofGlibc.test(name));
    expect(beside.toSorted()).toEqual(['libatomic.so.1', 'libgcc_s.so.1', 'libstdc++.so.6']);
    expect(beside.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
    const versions = await mustRun(['readelf', '-VW', program]);
    for (const family of ['GLIBC', 'GLIBCXX', 'CXXABI']) {
      const found = [...versions.matchAll(new RegExp(`Name: ${family}_([0-9.]+)`, 'g'))].map(
        ([, version = '']) => version,
      );
      expect(readme).toContain(`${family}_${newest(found)}`);
    }
  });

  it('is not installed by the script form where a library is missing, and nothing is done', async () => {
    await using node = await BraidNode.open();
    const dist = node.lab.folder('dist');
    mkdirSync(join(dist, 'standalone'));
    cpSync(SCRIPT, join(dist, 'script'), { recursive: true });
    cpSync(join(DIST, 'package.json'), join(dist, 'package.json'));
    writeFileSync(join(dist, 'standalone/braid'), withoutLibrary(), { mode: 0o755 });
    const outcome = await node.run(join(dist, 'script/braid'), `install --bin ${node.bin} --form standalone`);
    expect(outcome).toMatchObject({
      exitCode: 1,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(`library ${ABSENT} is missing: install .* or install with --form script`),
      ),
    });
    expect(() => readdirSync(node.bin)).toThrow(/ENOENT/);
  });

  it('is found by doctor where it was installed and a library is missing', async () => {
    await using node = await BraidNode.open();
    expect(await node.braid(`install --bin ${node.bin}`)).toMatchObject({ exitCode: 0 });
    const path = join(node.bin, 'macvlan');
    rmSync(path);
    writeFileSync(path, withoutLibrary(), { mode: 0o755 });
    const { stdout } = await node.run(join(SCRIPT, 'braid'), `doctor --cri none --bin ${node.bin} --json`);
    expect(JSON.parse(stdout)).toContainEqual({
      level: 'fault',
      text: `"${path}" does not run on this node: library ${ABSENT} is missing`,
      fix: expect.stringContaining('--form script'),
    });
  });
});
