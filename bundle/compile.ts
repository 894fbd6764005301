/** The parts of the programs: the native part and the bundled JavaScript. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { callsOnly, refuseOthers } from './calls-only.ts';

export const ROOT = join(import.meta.dirname, '..');
export const DIST = join(ROOT, 'dist');

/** Replaced by the build's id, which has the same length. */
const ID_PLACEHOLDER = '0123456789abcdef0123456789abcdef';

export const pluginNames = (): readonly string[] =>
  readdirSync(join(ROOT, 'plugins')).filter((name) => existsSync(join(ROOT, 'plugins', name, 'plugin.ts')));

/** `host-device` is exported as `hostDevice`. */
export const exportOf = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/** Compiles the native part with the system's compiler. */
export function compileNative(): Buffer {
  const output = join(DIST, 'native', `linux-${process.arch}.node`);
  makeFolder(join(DIST, 'native'), { mode: 0o755, sync: false });
  const headers = join(ROOT, 'node_modules/node-api-headers/include');
  const flags = [
    '-O2',
    '-fPIC',
    '-shared',
    '-fvisibility=hidden',
    '-s',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-pthread',
    '-Wl,--build-id=none',
  ];
  const folder = 'lib/netns/native';
  const sources = readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.c'))
    .sort();
  const files = sources.map((name) => join(folder, name));
  execFileSync('cc', [...flags, '-I', headers, '-o', output, ...files], { cwd: ROOT, stdio: 'inherit' });
  return readFileSync(output);
}

export interface Bundle {
  readonly code: string;
  readonly id: string;
}

export interface Form {
  readonly isScript: boolean;
  /** plugins without the command for people, and what they have for it */
  readonly isCallsOnly: boolean;
  /** the version that the code must run or, for scripts, at least parse on */
  readonly target: string;
  /** an expression for the native part's bytes */
  readonly nativeBytes: string;
  /** an expression for the launcher's bytes */
  readonly launcherBytes: string;
}

/**
 * Bundles a program.
 *
 * @param entry its first source, from the root of the project
 */
export async function bundle(form: Form, version: string, entry = 'bundle/entry.ts'): Promise<string> {
  const result = await build({
    entryPoints: [join(ROOT, entry)],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: form.target,
    minify: true,
    legalComments: 'none',
    define: { IS_SCRIPT: String(form.isScript), IS_CALLS_ONLY: String(form.isCallsOnly) },
    // Node 26.10: native 'using' crashes in a program started from a snapshot; build.test.ts tells when it is fixed.
    supported: { 'dynamic-import': false, using: false },
    plugins: [virtualModules(form, version), ...(form.isCallsOnly ? [callsOnly] : [])],
    absWorkingDir: ROOT,
    metafile: true,
    logLevel: 'warning',
  });
  if (form.isCallsOnly) {
    refuseOthers(result.metafile);
  }
  return result.outputFiles[0]?.text ?? '';
}

/** Computes the build id from everything in it, and writes it into the code. */
export function identify(codes: readonly string[], native: Buffer): { id: string; codes: readonly string[] } {
  const hash = createHash('sha256').update(native).update(process.version);
  for (const code of codes) {
    hash.update(code);
  }
  const id = hash.digest('hex').slice(0, ID_PLACEHOLDER.length);
  return { id, codes: codes.map((code) => code.replaceAll(ID_PLACEHOLDER, id)) };
}

function virtualModules({ nativeBytes, launcherBytes }: Form, version: string): Plugin {
  const contents: Readonly<Record<string, string>> = {
    'braid:build': `
      export const version = ${JSON.stringify(version)};
      export const id = '${ID_PLACEHOLDER}';
      export const nativeBytes = () => ${nativeBytes};
      export const launcherBytes = () => ${launcherBytes};`,
    'braid:registry': `export const registry = {${pluginNames()
      .map((name) => `'${name}': async () => (await import('./plugins/${name}/plugin.ts')).${exportOf(name)}`)
      .join(',')}};`,
  };
  return {
    name: 'virtual',
    setup(context) {
      context.onResolve({ filter: /^braid:/ }, ({ path }) => ({ path, namespace: 'braid' }));
      context.onLoad({ filter: /.*/, namespace: 'braid' }, ({ path }) => ({
        contents: contents[path] ?? '',
        resolveDir: ROOT,
      }));
    },
  };
}
