import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Scope } from '../cni/scope.ts';
import { fakeScope } from '../cni/testing/fake-scope.ts';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { missingLibraries, refuseMissingLibraries } from './libraries.ts';

const FOUND = '\tlinux-vdso.so.1 (0x00007f36a1523000)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f36a0ffe000)\n';
const WITHOUT = `${FOUND}\tlibatomic.so.1 => not found\n\tlibstdc++.so.6 => not found\n`;

/** A program, and a loader that says this of it. */
async function examined<T>(
  work: (scope: Scope, path: string) => Promise<T>,
  { stdout = FOUND, stderr = '', content = '\x7fELF', code = '' },
): Promise<T> {
  using folder = temporaryFolder();
  const path = join(folder.path, 'program');
  writeFileSync(path, content, 'latin1');
  const execute = async () => {
    if (code !== '') {
      throw Object.assign(new Error(code), { code });
    }
    return { exitCode: 0, signal: undefined, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) };
  };
  return await work(fakeScope({ node: { execute } }), path);
}

describe('lackingLibraries', () => {
  it('is nothing where all is there, for a script, and where programs cannot be started', async () => {
    expect(await examined(missingLibraries, {})).toEqual([]);
    expect(await examined(missingLibraries, { content: '#!/bin/sh\n', stdout: WITHOUT })).toEqual([]);
    expect(await examined(missingLibraries, { code: 'EACCES' })).toEqual([]);
  });

  it('names libraries and their packages', async () => {
    expect(await examined(missingLibraries, { stdout: WITHOUT })).toEqual([
      {
        what: 'library libatomic.so.1 is missing',
        fix: 'install libatomic1 (Debian, Ubuntu) or libatomic (RHEL, Fedora)',
      },
      {
        what: 'library libstdc++.so.6 is missing',
        fix: 'install libstdc++6 (Debian, Ubuntu) or libstdc++ (RHEL, Fedora)',
      },
    ]);
  });

  it('names versions that a library is too old for, once', async () => {
    const line = "/x: /lib/libc.so.6: version `GLIBC_2.28' not found (required by /x)\n";
    expect(await examined(missingLibraries, { stderr: line + line })).toEqual([
      { what: '"/lib/libc.so.6" has no GLIBC_2.28', fix: 'upgrade the system' },
    ]);
  });

  it('says that a node has no glibc at all', async () => {
    expect(await examined(missingLibraries, { code: 'ENOENT' })).toMatchObject([
      { what: expect.stringContaining('glibc') },
    ]);
  });
});

describe('refuseMissingLibraries', () => {
  it('says in one sentence what to do', async () => {
    await expect(examined(refuseMissingLibraries, { stdout: WITHOUT })).rejects.toThrow(
      /^cannot install ".*": it does not run on this node: library libatomic.so.1 is missing, .*: install libatomic1 .*, or install with --form script$/,
    );
    await expect(examined(refuseMissingLibraries, {})).resolves.toBeUndefined();
  });
});
