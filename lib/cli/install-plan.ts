import { statSync } from 'node:fs';
import { join } from 'node:path';
import { CniError } from '../cni/errors.ts';
import { checksums } from './checksum.ts';
import { beforeName, type Manifest } from './manifest.ts';
import { isSameFile, isThere } from './place.ts';
import { isOurs, type Source } from './source.ts';

export type InstallAction = 'present' | 'install' | 'update' | 'replace' | 'remove';

/** A name, and the file that it is to be. */
export interface WantedName {
  readonly name: string;
  readonly source: Source;
}

/** What to do for one name. */
export interface Step {
  readonly name: string;
  readonly deed: InstallAction;
}

/**
 * Compares the folder with its wanted content.
 *
 * @param mayReplace foreign plugins, which are then kept under another name
 * @throws CniError naming all conflicting files; nothing has been changed
 */
export async function planInstall(
  bin: string,
  wanted: readonly WantedName[],
  manifest: Manifest | undefined,
  mayReplace: boolean,
): Promise<readonly Step[]> {
  const sumOf = checksums();
  const steps: Step[] = [];
  for (const { name, source } of wanted) {
    steps.push({ name, deed: await chooseDeed(join(bin, name), name, source, manifest, sumOf) });
  }
  const foreign = steps.filter(({ deed }) => deed === 'replace').map(({ name }) => name);
  if (foreign.length > 0 && !mayReplace) {
    const list = foreign.map((name) => `"${name}"`).join(', ');
    throw new CniError(
      'internal',
      `cannot install in "${bin}": ${list} there ${foreign.length === 1 ? 'is' : 'are'} not ours: ` +
        '--replace sets them aside and uninstall restores them',
    );
  }
  for (const name of foreign) {
    refuseSecond(bin, name, manifest);
  }
  return steps;
}

async function chooseDeed(
  path: string,
  name: string,
  source: Source,
  manifest: Manifest | undefined,
  sumOf: (path: string) => Promise<string>,
): Promise<InstallAction> {
  if (!isThere(path)) {
    return 'install';
  }
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts?.isDirectory()) {
    throw new CniError('internal', `cannot install "${path}": a folder has that name`);
  }
  if (facts === undefined || !isOurs(path)) {
    return 'replace';
  }
  const isSame = (await sumOf(path)) === source.sha256 && (facts.mode & 0o777) === 0o755;
  return isSame && manifest?.files[name] !== undefined ? 'present' : 'update';
}

/** A plugin set aside earlier must not be overwritten, unless an interrupted install has set aside this same one. */
function refuseSecond(bin: string, name: string, manifest: Manifest | undefined): void {
  const kept = beforeName(name);
  if (isThere(join(bin, kept)) && !isSameFile(join(bin, kept), join(bin, name))) {
    const whose = manifest?.files[name]?.before === kept ? 'an earlier one is kept' : 'another file exists';
    throw new CniError(
      'internal',
      `cannot set aside "${name}" in "${bin}": ${whose} as "${kept}": move one of them away`,
    );
  }
}
