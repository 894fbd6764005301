import { linkSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Scope } from '../cni/scope.ts';
import { makeFolder, syncFolder } from '../sys/atomic-file.ts';
import { ioError } from '../sys/io-error.ts';
import { lockFolder } from './folder-lock.ts';
import { planInstall, type Step } from './install-plan.ts';
import { refuseMissingLibraries } from './libraries.ts';
import { beforeName, type Manifest, readManifest, writeManifest } from './manifest.ts';
import { readOptions, WrongUsage } from './options.ts';
import { copyInto, isThere, linkAs, linkForProof, removeTemporary } from './place.ts';
import { BIN_FOLDER, type Form, type Program } from './program.ts';
import { findSource, type Source } from './source.ts';
import { count } from './table.ts';

type Print = (line: string) => void;

const DONE = 0;
const SELF = 'braid';
/** the plugin that is asked whether it starts */
const PROVED = 'multus';

export const OPTIONS = {
  bin: { type: 'string' },
  form: { type: 'string' },
  plugins: { type: 'string' },
  replace: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

type OptionValues = Partial<ReturnType<typeof readOptions<typeof OPTIONS>>['values']>;

/** The programs to install. */
export interface Wanted {
  readonly bin: string;
  readonly form: Form;
  readonly names: readonly string[];
  readonly mayReplace: boolean;
  readonly asJson: boolean;
  /** Throws when a program in the folder, under its name, does not start: no other is replaced by it then. */
  readonly prove?: (path: string) => Promise<void>;
}

const DEEDS = { present: 'present', install: 'installed', update: 'updated', replace: 'replaced' } as const;

/**
 * `braid install`. The manifest is written before anything else changes, so that uninstall can always clean up an
 * interrupted install.
 */
export async function install(program: Program, args: readonly string[], scope: Scope, print: Print): Promise<number> {
  const plugins = Object.keys(scope.suite.registry);
  const wanted = readWanted(program, readOptions(args, OPTIONS).values, plugins);
  const tell: Print = wanted.asJson ? () => undefined : print;
  const steps = await installPrograms(program, wanted, scope, tell);
  if (wanted.asJson) {
    print(JSON.stringify({ bin: wanted.bin, version: program.version, form: wanted.form, files: steps }, null, 2));
  }
  return DONE;
}

/**
 * Puts the programs into the folder.
 *
 * @throws CniError; what was there before can still be run then
 */
export async function installPrograms(
  program: Program,
  wanted: Wanted,
  scope: Scope,
  tell: Print,
): Promise<readonly Step[]> {
  const source = await findSource(program, wanted.form);
  await refuseMissingLibraries(scope, source.path);
  makeFolder(wanted.bin, { mode: 0o755 });
  using _lock = lockFolder(scope, wanted.bin);
  const known = readManifest(wanted.bin);
  const steps = await planInstall(wanted.bin, wanted.names, source, known, wanted.mayReplace);
  const changes = steps.filter(({ deed }) => deed !== 'present');
  if (changes.length > 0) {
    tell(`braid ${program.version}, ${source.form} form, ${source.proof}`);
    writeManifest(wanted.bin, manifestOf(program, source, known, changes));
    await carryOut(wanted, source, steps, tell);
  } else {
    await wanted.prove?.(join(wanted.bin, PROVED));
    removeTemporary(wanted.bin);
  }
  tell(summary(wanted.bin, steps, changes));
  return steps;
}

/** What the options say. @throws WrongUsage */
export function readWanted(program: Program, values: OptionValues, plugins: readonly string[]): Wanted {
  const { bin = BIN_FOLDER, form = program.form, replace: mayReplace = false, json: asJson = false } = values;
  if (form !== 'standalone' && form !== 'script') {
    throw new WrongUsage(`cannot use --form "${form}": it is "standalone" or "script"`);
  }
  if (!isAbsolute(bin)) {
    throw new WrongUsage(`cannot use --bin "${bin}": it is not an absolute path`);
  }
  const chosen = values.plugins?.split(',').filter((name) => name !== '') ?? plugins;
  const unknown = chosen.find((name) => name !== SELF && !plugins.includes(name));
  if (unknown !== undefined || chosen.length === 0) {
    throw new WrongUsage(`cannot use --plugins "${values.plugins}": plugins are ${plugins.join(', ')}`);
  }
  return { bin, form, names: [...new Set([...chosen, SELF])], mayReplace, asJson };
}

/** Files of earlier installs stay in the manifest, even if only some are reinstalled. */
function manifestOf(program: Program, source: Source, known: Manifest | undefined, steps: readonly Step[]): Manifest {
  const files = { ...known?.files };
  for (const { name, deed } of steps) {
    const before = deed === 'replace' ? beforeName(name) : known?.files[name]?.before;
    files[name] = { sha256: source.sha256, ...(before === undefined ? {} : { before }) };
  }
  return { version: program.version, build: program.id, form: source.form, files };
}

async function carryOut(wanted: Wanted, source: Source, steps: readonly Step[], tell: Print): Promise<void> {
  const { bin } = wanted;
  const present = steps.find(({ deed }) => deed === 'present');
  if (present === undefined) {
    tell(`copying into "${bin}"`);
  }
  try {
    const file = present === undefined ? await copyInto(bin, source) : join(bin, present.name);
    if (wanted.prove !== undefined) {
      await wanted.prove(linkForProof(bin, file, PROVED));
    }
    const width = Math.max(...steps.map(({ name }) => name.length));
    for (const { name, deed } of steps.filter((step) => step.deed !== 'present')) {
      if (deed === 'replace') {
        setAside(bin, name);
      }
      linkAs(bin, file, name);
      tell(`  ${name.padEnd(width)}  ${DEEDS[deed]}${deed === 'replace' ? `, kept as ${beforeName(name)}` : ''}`);
    }
  } finally {
    removeTemporary(bin);
  }
  syncFolder(bin);
}

/** The name always leads to a plugin: the old one, then the new one. */
function setAside(bin: string, name: string): void {
  try {
    if (!isThere(join(bin, beforeName(name)))) {
      linkSync(join(bin, name), join(bin, beforeName(name)));
    }
  } catch (error) {
    throw ioError('set aside', join(bin, name), error);
  }
}

const summary = (bin: string, steps: readonly Step[], changes: readonly Step[]): string =>
  changes.length === 0
    ? `nothing to do: all ${count(steps.length, 'program')} of this build are in "${bin}"`
    : `done: ${count(changes.length, 'program')} in "${bin}"; "braid uninstall" removes them`;
