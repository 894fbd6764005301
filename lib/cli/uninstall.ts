import { renameSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Host } from '../cni/plugin.ts';
import { syncFolder } from '../sys/atomic-file.ts';
import { ioError } from '../sys/io-error.ts';
import { lockFolder } from './folder-lock.ts';
import { attachedIn, attachedTable } from './list.ts';
import { type Installed, manifestIn, readManifest } from './manifest.ts';
import { NODE_OPTIONS, placesIn, readNode } from './node.ts';
import { readOptions, WrongUsage } from './options.ts';
import { isSameFile, isThere, removeTemporary } from './place.ts';
import { BIN_FOLDER, type Program } from './program.ts';
import { isOurs } from './source.ts';

type Print = (line: string) => void;

type Fate = 'removed' | 'put back' | 'left' | 'missing';

/** `braid uninstall`. The list of what was installed goes last, so that this can be repeated after any interruption. */
export async function uninstall(_: Program, args: readonly string[], host: Host, print: Print): Promise<number> {
  const { values } = readOptions(args, {
    bin: { type: 'string', default: BIN_FOLDER },
    force: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    ...NODE_OPTIONS,
  });
  const { bin, json: asJson } = values;
  if (!isAbsolute(bin)) {
    throw new WrongUsage(`cannot use --bin "${bin}": it is not an absolute path`);
  }
  const manifest = readManifest(bin);
  if (manifest === undefined) {
    print(asJson ? JSON.stringify({ bin, files: {} }) : `nothing to do: "${manifestIn(bin)}" is not there`);
    return 0;
  }
  if (!values.force && (await hasAttachments(host, placesIn(values)))) {
    return 1;
  }
  using _lock = lockFolder(host, bin);
  const fates = Object.entries(manifest.files).map(([name, file]) => [name, takeOut(bin, name, file)] as const);
  removeTemporary(bin);
  syncFolder(bin);
  rmSync(manifestIn(bin), { force: true });
  syncFolder(bin);
  report(bin, fates, asJson, print);
  return 0;
}

/** Pods whose DEL would find no plugin keep their devices and addresses for ever. */
async function hasAttachments(host: Host, places: ReturnType<typeof placesIn>): Promise<boolean> {
  const attached = attachedIn(host, (await readNode(host, places)).records);
  if (attached.length > 0) {
    host.log('braid: cannot uninstall: these attachments would have no plugin to end them:');
    for (const line of attachedTable(attached, Date.now())) {
      host.log(line);
    }
    host.log('braid: end the pods, run "braid gc" for those that are gone, or use --force');
  }
  return attached.length > 0;
}

/** A file that is not ours any more belongs to whoever has put it there. */
function takeOut(bin: string, name: string, { before }: Installed): Fate {
  const path = join(bin, name);
  const kept = before === undefined ? undefined : join(bin, before);
  try {
    if (isThere(path) && !isOurs(path)) {
      if (kept !== undefined && isSameFile(kept, path)) {
        rmSync(kept); // the installation was interrupted: the plugin has kept its name
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
    throw ioError('take out', path, error);
  }
}

const WORDS: Readonly<Record<Fate, string>> = {
  removed: 'removed',
  'put back': 'removed, and what was there before is back',
  left: 'left: somebody else has put another program there',
  missing: 'was not there any more',
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
