import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CniError, withPrefix } from '../../lib/cni/errors.ts';
import { identifierFault } from '../../lib/cni/read-call.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import { makeFolder, removeWritten, writeAtomically } from '../../lib/sys/atomic-file.ts';
import { temporaryNameOf } from '../../lib/sys/file-name.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import type { Delegate } from './delegates.ts';
import type { PodRecord } from './pod-record.ts';
import { formatScratch, parseScratch, type Stored } from './scratch-form.ts';

/** The folder of the result cache, which libcni keeps beside the scratch files. */
const RESULTS = 'results';

/**
 * Refuses a container whose scratch file could not be written.
 *
 * @throws CniError badEnv
 */
export function refuseUnscratchable(containerId: string): void {
  if (containerId === RESULTS) {
    throw new CniError('badEnv', `cannot use CNI_CONTAINERID "${containerId}": the result cache has that name`);
  }
  refuseLongRecord({ containerId });
}

export const scratchFile = (cniDir: string, containerId: string): string => join(cniDir, containerId);

/**
 * Writes the delegates of a container, and where it is, durably, before any of them runs.
 *
 * @throws CniError ioFailure
 */
export function writeScratch(
  cniDir: string,
  containerId: string,
  delegates: readonly Delegate[],
  pod: PodRecord,
): void {
  makeFolder(cniDir);
  writeAtomically(scratchFile(cniDir, containerId), formatScratch(delegates, pod), { mode: 0o600 });
}

/**
 * The file as it is.
 *
 * @returns undefined when there is none
 * @throws CniError ioFailure
 */
export function readScratch(cniDir: string, containerId: string): Buffer | undefined {
  const file = scratchFile(cniDir, containerId);
  try {
    return readFileSync(file);
  } catch (error) {
    if (isMissing(error) || isResultCache(containerId, error)) {
      return undefined;
    }
    throw ioError('read', file, error);
  }
}

/**
 * What the file tells.
 *
 * @param cniVersion for lists that name none
 * @returns undefined when there is no file
 * @throws CniError ioFailure when it cannot be read, internal when it names no delegate
 */
export function readStored(cniDir: string, containerId: string, cniVersion: string): Stored | undefined {
  const content = readScratch(cniDir, containerId);
  try {
    return content && parseScratch(content, cniVersion);
  } catch (error) {
    throw withPrefix(`cannot read the scratch file "${scratchFile(cniDir, containerId)}"`, error);
  }
}

/**
 * The containers that have a scratch file, as far as names tell: files only, and no temporary ones, whose names begin
 * with a dot.
 *
 * @throws CniError ioFailure when the folder cannot be read
 */
export const scratchNames = (cniDir: string): readonly string[] =>
  filesIn(cniDir).filter((name) => identifierFault(name) === undefined);

function filesIn(cniDir: string): readonly string[] {
  try {
    return readdirSync(cniDir, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw ioError('read folder', cniDir, error);
  }
}

/**
 * The containers whose scratch file a killed call was about to write, as far as names tell.
 *
 * @throws CniError ioFailure when the folder cannot be read
 */
export const unfinishedNames = (cniDir: string): readonly string[] =>
  filesIn(cniDir).flatMap((file) => {
    const [, name = ''] = /^\.(.+)\.tmp$/.exec(file) ?? [];
    return identifierFault(name) === undefined && file === temporaryNameOf(name) ? [name] : [];
  });

/** Puts back what was there before; undefined: nothing. */
export function restoreScratch(cniDir: string, containerId: string, before: Buffer | undefined): void {
  if (before === undefined) {
    removeScratch(cniDir, containerId);
  } else {
    writeAtomically(scratchFile(cniDir, containerId), before, { mode: 0o600 });
  }
}

/** Removes what a killed call was about to write. */
export const removeUnfinished = (cniDir: string, containerId: string): void =>
  rmSync(join(cniDir, temporaryNameOf(containerId)), { force: true });

/** @throws CniError ioFailure */
export function removeScratch(cniDir: string, containerId: string): void {
  const file = scratchFile(cniDir, containerId);
  try {
    removeWritten(file);
  } catch (error) {
    if (!isResultCache(containerId, error)) {
      throw ioError('remove', file, error);
    }
  }
}

/** A container whose ID is the name of that folder has no scratch file: ADD refuses it. */
const isResultCache = (containerId: string, error: unknown): boolean =>
  containerId === RESULTS && (error as NodeJS.ErrnoException).code === 'EISDIR';
