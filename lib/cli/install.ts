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
import { copyInto, isThere, linkAs, removeTemporary } from './place.ts';
import { BIN_FOLDER, type Form, type Program } from './program.ts';
import { findSource, type Source } from './source.ts';
import { count } from './table.ts';

type Print = (line: string) => void;

const DONE = 0;
const SELF = 'braid';

interface Wanted {
  readonly bin: string;
  readonly form: Form;
  readonly names: readonly string[];
  readonly mayReplace: boolean;
  readonly asJson: boolean;
}

const DEEDS = { present: 'present', install: 'installed', update: 'updated', replace: 'replaced' } as const;

/**
 * `braid install`. The manifest is written before anything else changes, so that uninstall can always clean up an
 * interrupted install.
 */
export async function install(program: Program, args: readonly string[], scope: Scope, print: Print): Promise<number> {
  const wanted = readWanted(program, args, Object.keys(scope.suite.registry));
  const tell: Print = wanted.asJson ? () => undefined : print;
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
    await carryOut(wanted.bin, source, steps, tell);
  } else {
    removeTemporary(wanted.bin);
  }
  if (wanted.asJson) {
    print(JSON.stringify({ bin: wanted.bin, version: program.version, form: source.form, files: steps }, null, 2));
  }
  tell(summary(wanted.bin, steps, changes));
  return DONE;
}

function readWanted(program: Program, args: readonly string[], plugins: readonly string[]): Wanted {
  const { values } = readOptions(args, {
    bin: { type: 'string', default: BIN_FOLDER },
    form: { type: 'string', default: program.form },
    plugins: { type: 'string' },
    replace: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  });
  const { bin, form, replace: mayReplace, json: asJson } = values;
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

async function carryOut(bin: string, source: Source, steps: readonly Step[], tell: Print): Promise<void> {
  const present = steps.find(({ deed }) => deed === 'present');
  if (present === undefined) {
    tell(`copying into "${bin}"`);
  }
  try {
    const file = present === undefined ? await copyInto(bin, source) : join(bin, present.name);
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
