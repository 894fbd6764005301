import { closeSync, openSync, readSync } from 'node:fs';
import { CniError } from '../cni/errors.ts';
import type { Scope } from '../cni/scope.ts';
import type { Executed } from '../sys/execute.ts';

/** Packages with the libraries that Node needs besides glibc: in Debian and Ubuntu, and in RHEL and Fedora. */
const PACKAGES: Readonly<Record<string, readonly [string, string]>> = {
  'libatomic.so.1': ['libatomic1', 'libatomic'],
  'libgcc_s.so.1': ['libgcc-s1', 'libgcc'],
  'libstdc++.so.6': ['libstdc++6', 'libstdc++'],
};

/** What a standalone program needs and this node lacks, as phrases. */
export interface MissingLibrary {
  readonly what: string;
  readonly fix: string;
}

/** for the loader, which only reads a few files */
const TIMEOUT_MS = 10_000;

const ELF = '\x7fELF';

/**
 * Asks the system's loader what an executable lacks: a program without its libraries cannot report that itself. The
 * program does not run.
 *
 * @returns nothing for a script, or if the loader cannot be asked: the folder may be mounted noexec
 */
export async function missingLibraries(scope: Scope, path: string): Promise<readonly MissingLibrary[]> {
  if (!isElf(path)) {
    return [];
  }
  let told: Executed;
  try {
    told = await scope.execute({
      path,
      env: { LD_TRACE_LOADED_OBJECTS: '1', LC_ALL: 'C' },
      stdin: Buffer.alloc(0),
      timeoutMs: TIMEOUT_MS,
    });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? [
          {
            what: 'the glibc loader named by its ELF header is missing',
            fix: 'use a node with glibc',
          },
        ]
      : [];
  }
  const libraries = [...told.stdout.toString('utf8').matchAll(/^\s*(\S+) => not found$/gm)].map(
    ([, name = '']) => name,
  );
  const versions = told.stderr.toString('utf8').matchAll(/(\S+): version `(\S+)' not found/g);
  const old = new Map([...versions].map(([, file = '', version = '']) => [version, file]));
  return [
    ...libraries.map(
      (name): MissingLibrary => ({ what: `library ${name} is missing`, fix: `install ${packageOf(name)}` }),
    ),
    ...[...old].map(
      ([version, file]): MissingLibrary => ({
        what: `"${file}" has no ${version}`,
        fix: 'upgrade the system',
      }),
    ),
  ];
}

/** @throws CniError saying what to install */
export async function refuseMissingLibraries(scope: Scope, path: string): Promise<void> {
  const missing = await missingLibraries(scope, path);
  if (missing.length > 0) {
    const whats = missing.map(({ what }) => what).join(', ');
    const fixes = [...new Set(missing.map(({ fix }) => fix))].join(', ');
    throw new CniError(
      'internal',
      `cannot install "${path}": it does not run on this node: ${whats}: ${fixes}, or install with --form script`,
    );
  }
}

function isElf(path: string): boolean {
  const head = Buffer.alloc(ELF.length);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, head);
  } finally {
    closeSync(fd);
  }
  return head.toString('latin1') === ELF;
}

function packageOf(library: string): string {
  const [debian, redHat] = (Object.hasOwn(PACKAGES, library) && PACKAGES[library]) || ['libc6', 'glibc'];
  return `${debian} (Debian, Ubuntu) or ${redHat} (RHEL, Fedora)`;
}
