import { linkSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import type { Scope } from '../cni/scope.ts';
import { makeFolder, syncFolder } from '../sys/atomic-file.ts';
import type { Env } from '../sys/execute.ts';
import { ioError } from '../sys/io-error.ts';
import { lockFolder } from './folder-lock.ts';
import { planInstall, type Step, type WantedName } from './install-plan.ts';
import { refuseMissingLibraries } from './libraries.ts';
import { beforeName, type Manifest, readManifest, writeManifest } from './manifest.ts';
import { readOptions, WrongUsage } from './options.ts';
import { copyInto, isThere, linkAs, linkForProof, removeTemporary } from './place.ts';
import { BIN_FOLDER, type InstalledForm, type Program, STANDALONE_NAME } from './program.ts';
import {
  type AgentBy,
  agentSocket,
  demandAgent,
  launchersIn,
  refuseUnserved,
  settleAgent,
  type WantedAgent,
} from './resident/settle.ts';
import {
  bringOnDemand,
  bringStandalone,
  ON_DEMAND_NAME,
  planSupport,
  removeSupport,
  type Support,
} from './resident/support.ts';
import { findSources, isLauncher, type Source, type Sources } from './source.ts';
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
  'on-demand': { type: 'boolean' },
  'no-units': { type: 'boolean' },
  'device-config': { type: 'string' },
  'rdma-device-config': { type: 'string' },
  json: { type: 'boolean' },
} as const;

type OptionValues = Partial<ReturnType<typeof readOptions<typeof OPTIONS>>['values']>;

/** The programs to install. */
export interface Wanted {
  readonly bin: string;
  readonly form: InstalledForm;
  readonly agent: WantedAgent;
  readonly names: readonly string[];
  readonly mayReplace: boolean;
  readonly asJson: boolean;
  /** Throws when a program in the folder, under its name, does not start: no other is replaced by it then. */
  readonly prove?: (path: string) => Promise<void>;
  /** the root of the node's file system, where it is not this program's: its systemd is not asked */
  readonly hostRoot?: string;
}

const DEEDS = {
  present: 'present',
  install: 'installed',
  update: 'updated',
  replace: 'replaced',
  remove: 'removed',
} as const;

const NO_AGENT: WantedAgent = { by: 'others', devices: [] };

/** An agent that a call has started ends after so many seconds without another. */
const ON_DEMAND_S = 60;

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
  const sources = await findSources(program, wanted.form);
  await refuseUnrunnable(program, wanted, sources, scope, tell);
  makeFolder(wanted.bin, { mode: 0o755 });
  using _lock = lockFolder(scope, wanted.bin);
  const known = readManifest(wanted.bin);
  const names = namesWith(wanted, sources);
  const steps = await planInstall(wanted.bin, names, known, wanted.mayReplace);
  const isProgramNew = steps.some(({ name, deed }) => name === SELF && deed !== 'present');
  const needs = supportFor(wanted, known);
  const support = planSupport(wanted.bin, needs, isProgramNew);
  const all = [...steps, ...support];
  const changes = all.filter(({ deed }) => deed !== 'present');
  if (changes.length > 0) {
    tell(`braid ${program.version}, ${wanted.form} form, ${sources.proof}`);
    writeManifest(wanted.bin, manifestOf(program, wanted, names, known, steps));
    await carryOut(wanted, { sources, names, steps, support }, program.env, tell);
  } else {
    await wanted.prove?.(join(wanted.bin, PROVED));
    removeTemporary(wanted.bin);
  }
  if (!needs.isNeeded) {
    removeSupport(wanted.bin, STANDALONE_NAME); // an interrupted install may have left the empty folder
  }
  if ((wanted.hostRoot ?? '') === '') {
    const agent = wanted.form === 'resident' ? wanted.agent : NO_AGENT;
    const isKept = wanted.form !== 'resident' && launchersIn(wanted.bin).length > 0;
    await (isKept ? undefined : settleAgent(scope, wanted.bin, agent, program.env, tell));
  }
  tell(summary(wanted.bin, all, changes));
  return all;
}

const namesWith = ({ names }: Wanted, { program, plugin }: Sources): readonly WantedName[] =>
  names.map((name) => ({ name, source: name === SELF ? program : plugin }));

/** Launchers of an earlier install may stay. */
function supportFor({ bin, form, names, agent }: Wanted, known: Manifest | undefined): Support {
  const others = Object.keys(known?.files ?? {}).filter((name) => !names.includes(name));
  const isResident = form === 'resident';
  return {
    isNeeded: isResident || others.some((name) => isLauncher(join(bin, name))),
    isProgramStandalone: form !== 'script',
    onDemandS: isResident ? (agent.by === 'call' ? ON_DEMAND_S : 0) : undefined,
  };
}

/** What the options say. @throws WrongUsage */
export function readWanted(program: Program, values: OptionValues, plugins: readonly string[]): Wanted {
  const { bin = BIN_FOLDER, form = program.form, replace: mayReplace = false, json: asJson = false } = values;
  if (form !== 'standalone' && form !== 'script' && form !== 'resident') {
    throw new WrongUsage(`cannot use --form "${form}": it is "standalone", "script" or "resident"`);
  }
  const agent = readAgent(values, form);
  if (!isAbsolute(bin)) {
    throw new WrongUsage(`cannot use --bin "${bin}": it is not an absolute path`);
  }
  const chosen = values.plugins?.split(',').filter((name) => name !== '') ?? plugins;
  const unknown = chosen.find((name) => name !== SELF && !plugins.includes(name));
  if (unknown !== undefined || chosen.length === 0) {
    throw new WrongUsage(`cannot use --plugins "${values.plugins}": plugins are ${plugins.join(', ')}`);
  }
  return { bin, form, agent, names: [...new Set([...chosen, SELF])], mayReplace, asJson };
}

function readAgent(values: OptionValues, form: InstalledForm): WantedAgent {
  const by: AgentBy = values['on-demand'] === true ? 'call' : values['no-units'] === true ? 'others' : 'systemd';
  if (by !== 'systemd' && form !== 'resident') {
    throw new WrongUsage(`cannot use --${by === 'call' ? 'on-demand' : 'no-units'}: it is for --form resident`);
  }
  const devices = (['device-config', 'rdma-device-config'] as const).flatMap((name) => {
    const file = values[name];
    if (file === undefined) {
      return [];
    }
    if (by !== 'systemd' || form !== 'resident') {
      throw new WrongUsage(`cannot use --${name}: it is for --form resident with units`);
    }
    if (!/^\/[\w./-]+$/.test(file)) {
      throw new WrongUsage(`cannot use --${name} "${file}": it is no absolute path of plain characters`);
    }
    return [`--${name}`, file];
  });
  return { by, devices };
}

/** Files of earlier installs stay in the manifest, even if only some are reinstalled. */
function manifestOf(
  program: Program,
  { form }: Wanted,
  names: readonly WantedName[],
  known: Manifest | undefined,
  steps: readonly Step[],
): Manifest {
  const files = { ...known?.files };
  for (const { name, source } of names) {
    const deed = steps.find((step) => step.name === name)?.deed;
    const before = deed === 'replace' ? beforeName(name) : known?.files[name]?.before;
    files[name] = { sha256: source.sha256, ...(before === undefined ? {} : { before }) };
  }
  return { version: program.version, build: program.id, form, files };
}

interface Plan {
  readonly sources: Sources;
  readonly names: readonly WantedName[];
  readonly steps: readonly Step[];
  readonly support: readonly Step[];
}

async function carryOut(
  wanted: Wanted,
  { sources, names, steps, support }: Plan,
  env: Env,
  tell: Print,
): Promise<void> {
  const { bin } = wanted;
  const width = Math.max(...[...steps, ...support].map(({ name }) => name.length));
  const report = ({ name, deed }: Step): void =>
    tell(`  ${name.padEnd(width)}  ${DEEDS[deed]}${deed === 'replace' ? `, kept as ${beforeName(name)}` : ''}`);
  removeTemporary(bin);
  if (steps.every(({ deed }) => deed !== 'present')) {
    tell(`copying into "${bin}"`);
  }
  try {
    const files = new Map<Source, string>();
    const fileOf = (name: string): string => files.get(sourceOf(names, name)) ?? '';
    for (const source of new Set([sources.program, sources.plugin])) {
      const present = steps.find(({ name, deed }) => deed === 'present' && sourceOf(names, name) === source);
      files.set(source, present === undefined ? await copyInto(bin, source) : join(bin, present.name));
    }
    await wanted.prove?.(linkForProof(bin, files.get(sources.plugin) ?? '', PROVED));
    if (wanted.prove !== undefined && sources.program !== sources.plugin) {
      await proveProgram(wanted, linkForProof(bin, fileOf(SELF), PROVED, 'proof-program'), env, tell);
    }
    for (const step of support.filter(({ name, deed }) => name === STANDALONE_NAME && isBrought(deed))) {
      bringStandalone(bin, fileOf(SELF));
      report(step);
    }
    for (const step of steps.filter(({ deed }) => deed !== 'present')) {
      if (step.deed === 'replace') {
        setAside(bin, step.name);
      }
      linkAs(bin, fileOf(step.name), step.name);
      report(step);
    }
    for (const step of support.filter(({ name, deed }) => name === ON_DEMAND_NAME && isBrought(deed))) {
      bringOnDemand(bin, ON_DEMAND_S);
      report(step);
    }
    for (const step of support.filter(({ deed }) => deed === 'remove')) {
      removeSupport(bin, step.name);
      report(step);
    }
  } finally {
    removeTemporary(bin);
  }
  syncFolder(bin);
}

/** The program beside launchers may fail where an agent serves their calls. */
async function proveProgram({ prove, hostRoot = '' }: Wanted, path: string, env: Env, tell: Print): Promise<void> {
  try {
    await prove?.(path);
  } catch (error) {
    await demandAgent(`${hostRoot}${agentSocket(env)}`, messageOf(error), tell);
  }
}

async function refuseUnrunnable(
  { env }: Program,
  { form, prove }: Wanted,
  { program }: Sources,
  scope: Scope,
  tell: Print,
): Promise<void> {
  if (form !== 'resident') {
    await refuseMissingLibraries(scope, program.path);
  } else if (prove === undefined) {
    await refuseUnserved(scope, program.path, env, tell);
  }
}

const isBrought = (deed: Step['deed']): boolean => deed === 'install' || deed === 'update';

const sourceOf = (names: readonly WantedName[], wanted: string): Source =>
  (names.find(({ name }) => name === wanted) as WantedName).source;

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
    ? `nothing to do: all ${count(steps.length, 'file')} of this build are in "${bin}"`
    : `done: ${count(changes.length, 'file')} in "${bin}"; "braid uninstall" removes them`;
