import { readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, removeQuietly, temporaryFor, writeAtomically } from '../../sys/atomic-file.ts';
import { ioError, isMissing } from '../../sys/io-error.ts';
import type { Step } from '../install-plan.ts';
import { isSameFile, isThere, linkAs } from '../place.ts';
import { STANDALONE_NAME, SUPPORT_FOLDER } from '../program.ts';

/** Its content: seconds without a call after which an agent ends that a call has started. */
export const ON_DEMAND_NAME = `${SUPPORT_FOLDER}/on-demand`;

/** What launchers need beside them. */
export interface Support {
  /** whether there will be launchers */
  readonly isNeeded: boolean;
  /** of the program under the name `braid`; undefined: what is there stays */
  readonly isProgramStandalone: boolean;
  /** seconds; 0 for no agent on demand, undefined: as it is */
  readonly onDemandS: number | undefined;
}

/** Compares the folder with what its launchers need. */
export function planSupport(bin: string, support: Support, isProgramNew: boolean): readonly Step[] {
  const [standalone, marker] = [join(bin, STANDALONE_NAME), join(bin, ON_DEMAND_NAME)];
  if (!support.isNeeded) {
    return [ON_DEMAND_NAME, STANDALONE_NAME]
      .filter((name) => isThere(join(bin, name)))
      .map((name) => ({ name, deed: 'remove' }));
  }
  const steps: Step[] = [];
  if (support.isProgramStandalone) {
    const isPresent = !isProgramNew && isSameFile(standalone, join(bin, 'braid'));
    steps.push({ name: STANDALONE_NAME, deed: isPresent ? 'present' : isThere(standalone) ? 'update' : 'install' });
  }
  const { onDemandS } = support;
  if (onDemandS === 0 && isThere(marker)) {
    steps.push({ name: ON_DEMAND_NAME, deed: 'remove' });
  } else if (onDemandS !== undefined && onDemandS > 0) {
    const isPresent = onDemandSeconds(bin) === onDemandS;
    steps.push({ name: ON_DEMAND_NAME, deed: isPresent ? 'present' : isThere(marker) ? 'update' : 'install' });
  }
  return steps;
}

/** Puts the program beside the launchers. @throws CniError ioFailure */
export function bringStandalone(bin: string, program: string): void {
  makeFolder(join(bin, SUPPORT_FOLDER), { mode: 0o755 });
  linkAs(bin, program, STANDALONE_NAME);
}

/** @throws CniError ioFailure */
export const bringOnDemand = (bin: string, seconds: number): void =>
  writeAtomically(join(bin, ON_DEMAND_NAME), `${seconds}\n`, { mode: 0o644 });

/** Removes one of these files, and their folder with the last one. @throws CniError ioFailure */
export function removeSupport(bin: string, name: string): void {
  try {
    rmSync(join(bin, name), { force: true });
    removeQuietly(temporaryFor(join(bin, ON_DEMAND_NAME))); // of an interrupted install
    rmdirSync(join(bin, SUPPORT_FOLDER));
  } catch (error) {
    if (!isMissing(error) && (error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') {
      throw ioError('remove', join(bin, name), error);
    }
  }
}

/** Seconds after which an agent ends that a launcher of this folder has started; undefined when none is started. */
export function onDemandSeconds(bin: string): number | undefined {
  try {
    const seconds = Number.parseInt(readFileSync(join(bin, ON_DEMAND_NAME), 'utf8'), 10);
    return seconds > 0 ? seconds : undefined;
  } catch {
    return undefined;
  }
}
