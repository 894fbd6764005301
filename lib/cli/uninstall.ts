import { renameSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { CniError } from '../cni/errors.ts';
import type { Scope } from '../cni/scope.ts';
import { removeQuietly, syncFolder, temporaryFor } from '../sys/atomic-file.ts';
import { ioError } from '../sys/io-error.ts';
import { CRI_OPTION } from './cri.ts';
import { lockFolder } from './folder-lock.ts';
import { collectForgotten } from './forgotten.ts';
import { attachedIn, attachedTable } from './list.ts';
import { type Installed, type Manifest, manifestIn, readManifest } from './manifest.ts';
import { restoreFiles, textSum } from './multus/files.ts';
import { hasBegun } from './multus/record.ts';
import { NODE_OPTIONS, type NodePlaces, placesIn, readNode } from './node.ts';
import { readOptions, WrongUsage } from './options.ts';
import { isSameFile, isThere, removeTemporary } from './place.ts';
import { BIN_FOLDER, type Program, STANDALONE_NAME } from './program.ts';
import { agentSocket, removeRun } from './resident/settle.ts';
import { ON_DEMAND_NAME, onDemandSeconds, removeSupport } from './resident/support.ts';
import { hasUnits, removeUnits } from './resident/units.ts';
import { isOurs } from './source.ts';

type Print = (line: string) => void;

type Fate = 'removed' | 'put back' | 'left' | 'missing';

/** `braid uninstall`. The manifest is deleted last, so that it can be repeated after an interruption. */
export async function uninstall(
  program: Program,
  args: readonly string[],
  scope: Scope,
  print: Print,
): Promise<number> {
  const { values } = readOptions(args, {
    bin: { type: 'string', default: BIN_FOLDER },
    force: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    daemonset: { type: 'string' },
    deployment: { type: 'string' },
    ...NODE_OPTIONS,
    ...CRI_OPTION,
  });
  const { bin, json: asJson } = values;
  const { daemonset, deployment } = values;
  if (daemonset !== undefined) {
    const { uninstallEverywhere } = await import('./multus/uninstall.ts');
    return uninstallEverywhere(program, { daemonset, deployment }, scope, print);
  }
  if (!isAbsolute(bin)) {
    throw new WrongUsage(`cannot use --bin "${bin}": it is not an absolute path`);
  }
  const manifest = readManifest(bin);
  const confs = values['conf-dir'];
  if (manifest === undefined && !hasBegun(confs)) {
    removeQuietly(temporaryFor(manifestIn(bin))); // of an install that was killed at once
    print(asJson ? JSON.stringify({ bin, files: {} }) : `nothing to do: braid is not installed in "${bin}"`);
    return 0;
  }
  const tell: Print = asJson ? () => undefined : print;
  if (!values.force) {
    const places = placesIn(values);
    const collecting = { scope, env: program.env, places, path: [bin] };
    for (const id of await collectForgotten(collecting, values.cri)) {
      tell(`collected container ${id}: its runtime does not know it any more`);
    }
    await refuseWhileAttached(scope, places);
  }
  const restored = await restoreConfs(scope, confs, tell);
  const fates = manifest === undefined ? [] : await removePrograms(program, scope, bin, manifest);
  report(bin, [...restored, ...fates], asJson, print);
  return 0;
}

async function removePrograms(
  { env }: Program,
  scope: Scope,
  bin: string,
  manifest: Manifest,
): Promise<readonly (readonly [string, Fate])[]> {
  using _lock = lockFolder(scope, bin);
  const fates = Object.entries(manifest.files).map(([name, file]) => [name, removeFile(bin, name, file)] as const);
  removeTemporary(bin);
  if (hasUnits(bin)) {
    await removeUnits(scope, env); // launchers are gone: nobody calls any more
  }
  const isOnDemand = onDemandSeconds(bin) !== undefined;
  for (const name of [ON_DEMAND_NAME, STANDALONE_NAME]) {
    removeSupport(bin, name);
  }
  if (isOnDemand) {
    await removeRun(scope, agentSocket(env));
  }
  syncFolder(bin);
  rmSync(manifestIn(bin), { force: true });
  syncFolder(bin);
  return fates;
}

/** What runtimes read goes first: nothing may name programs that are gone. */
async function restoreConfs(scope: Scope, folder: string, tell: Print): Promise<readonly (readonly [string, Fate])[]> {
  if (!hasBegun(folder)) {
    return [];
  }
  using _lock = lockFolder(scope, folder);
  const fates = restoreFiles(folder, await textSum()) ?? {};
  tell(`restored "${folder}"`);
  return Object.entries(fates);
}

/**
 * Without a plugin for DEL, pods would leak devices and addresses.
 *
 * @throws CniError listing the attachments
 */
async function refuseWhileAttached(scope: Scope, places: NodePlaces): Promise<void> {
  const { records, homes, faults } = await readNode(scope, places);
  for (const fault of faults) {
    scope.log(fault);
  }
  if (records.length > 0) {
    const lines = [
      'cannot uninstall: these attachments need the plugins for DEL',
      ...attachedTable(attachedIn(homes, records), Date.now()),
      'stop their pods first, or use --force',
    ];
    throw new CniError('internal', lines.join('\n'));
  }
}

/** A file that is no longer ours belongs to whoever put it there. */
function removeFile(bin: string, name: string, { before }: Installed): Fate {
  const path = join(bin, name);
  const kept = before === undefined ? undefined : join(bin, before);
  try {
    if (isThere(path) && !isOurs(path)) {
      if (kept !== undefined && isSameFile(kept, path)) {
        rmSync(kept); // install was interrupted before it replaced the plugin
        return 'put back';
      }
      return 'left';
    }
    if (kept !== undefined && isThere(kept)) {
      renameSync(kept, path);
      return 'put back';
    }
    if (!isThere(path)) {
      return 'missing';
    }
    rmSync(path);
    return 'removed';
  } catch (error) {
    throw ioError('remove', path, error);
  }
}

const WORDS: Readonly<Record<Fate, string>> = {
  removed: 'removed',
  'put back': 'removed, and the plugin it replaced restored',
  left: 'left: replaced by somebody else since',
  missing: 'already gone',
};

function report(bin: string, fates: readonly (readonly [string, Fate])[], asJson: boolean, print: Print): void {
  if (asJson) {
    print(JSON.stringify({ bin, files: Object.fromEntries(fates) }, null, 2));
    return;
  }
  const width = Math.max(0, ...fates.map(([name]) => name.length));
  for (const [name, fate] of fates) {
    print(`  ${name.padEnd(width)}  ${WORDS[fate]}`);
  }
  print(`done: nothing of "braid install" is left in "${bin}"`);
}
