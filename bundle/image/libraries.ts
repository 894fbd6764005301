/** What the executable needs of a system, as this machine has it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import type { Entry } from './tar.ts';

/** A package of this machine's Debian. */
export interface SystemPackage {
  readonly name: string;
  readonly version: string;
  readonly source: string;
  readonly distribution: string;
  readonly arch: string;
  /** its licence text */
  readonly copyright: Buffer;
}

export interface Libraries {
  readonly files: readonly Entry[];
  readonly packages: readonly SystemPackage[];
}

/** `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and for the loader the path alone. */
const LINE = /^\s*(?:\S+ => )?(\/\S+) \(0x/gm;

/**
 * The loader and the libraries that programs name, at the paths where they are found, and the packages that they are of.
 *
 * @throws Error where the packages of the libraries cannot be told: their licences have to travel with them
 */
export function librariesOf(programs: readonly string[]): Libraries {
  const paths = [...new Set(programs.flatMap(pathsIn))].sort();
  const names = [...new Set(paths.map(packageOf))].sort();
  return {
    files: paths.map((path) => ({ path: path.slice(1), mode: 0o755, content: readFileSync(path) })),
    packages: names.map(readPackage),
  };
}

const pathsIn = (program: string): readonly string[] =>
  [...run('ldd', program).matchAll(LINE)].map(([, path = '']) => path);

function packageOf(path: string): string {
  const candidates = [path, realpathSync(path), realpathSync(path).replace(/^\/usr/, '')];
  for (const candidate of [...candidates, ...candidates.map((one) => `/usr${one}`)]) {
    try {
      return run('dpkg-query', '-S', candidate).split(': ')[0] ?? '';
    } catch {
      // recorded under another of its names
    }
  }
  throw new Error(
    `cannot make the image: no Debian package has "${path}" (${basename(path)}): build it on Debian or Ubuntu`,
  );
}

function readPackage(name: string): SystemPackage {
  const fields = ['binary:Package', 'Version', 'source:Package', 'Architecture']
    .map((field) => `\${${field}}`)
    .join('\t');
  const [, version = '', source = '', arch = ''] = run('dpkg-query', '-W', `-f=${fields}`, name).split('\t');
  const short = name.replace(/:.*/, '');
  const copyright = `/usr/share/doc/${short}/copyright`;
  if (!existsSync(copyright)) {
    throw new Error(`cannot make the image: there is no "${copyright}"`);
  }
  const distribution = /^ID=(.+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'debian';
  return { name: short, version, source, distribution, arch, copyright: readFileSync(copyright) };
}

const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
